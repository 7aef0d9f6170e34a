#!/bin/sh
# SPDX-License-Identifier: MIT
# growth.sh [TSV] - draws docs/growth.svg, what each mapping costs as their number grows, with gnuplot
# (Debian: gnuplot-nox). Without TSV it measures anew: bench_core writes docs/growth.tsv. Otherwise it
# draws what that file says; nothing is built or measured then.
set -eu
cd "$(dirname "$0")/.."
command -v gnuplot >/dev/null || { echo "no gnuplot (Debian: gnuplot-nox)" >&2; exit 1; }
data=${1:-docs/growth.tsv}
if [ $# = 0 ]; then
	cmake --preset default >/dev/null
	cmake --build --preset default -j "$(nproc)" --target bench_core >/dev/null
	build/default/bench/bench_core >build/growth.tsv
	cp build/growth.tsv "$data"
fi
mkdir -p build
gnuplot -e "data = '$data'" - >build/growth.svg <<'END'
set terminal svg size 860,460 font "sans-serif,13" background "white"
set title "Time for each mapping, on a virtual clock"
set xlabel "holds"
set ylabel "ns"
set logscale xy
set xrange [0.7:700000]
set yrange [10:10000]
set xtics ("1" 1, "100" 100, "10,000" 10000, "131,070" 131070)
set ytics ("10" 10, "100" 100, "1,000" 1000, "10,000" 10000)
set grid
set key outside right top reverse Left
set datafile separator "\t" missing NaN
colours = "#0969da #1a7f37 #9a6700 #cf222e #8250df #bf3989 #57606a #1b7c83"
phases = "add grant renew lose return restart let~go farewell"
name(i) = word(phases, i) eq "let~go" ? "let go" : word(phases, i)
plot for [i = 1:words(phases)] data using 2:(strcol(1) eq name(i) ? $4 : NaN):5:6 \
	with yerrorlines linewidth 2 pointtype 7 pointsize 0.5 linecolor rgb word(colours, i) title name(i)
END
cp build/growth.svg docs/growth.svg
