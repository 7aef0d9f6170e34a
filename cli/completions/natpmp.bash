# SPDX-License-Identifier: MIT
# Completion of natpmp(1) for bash. The options are those that natpmp lists.

# The values of kind $1 that begin like $2.
_natpmp_value()
{
	case $1 in
	type)
		mapfile -t COMPREPLY < <(compgen -W 'tcp udp both' -- "$2")
		;;
	dialect)
		mapfile -t COMPREPLY < <(compgen -W 'auto natpmp pcp' -- "$2")
		;;
	interface)
		mapfile -t COMPREPLY < <(compgen -W "$(ls /sys/class/net 2>/dev/null)" -- "$2")
		;;
	file)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$2")
		;;
	command)
		mapfile -t COMPREPLY < <(compgen -c -- "$2")
		;;
	esac
}

_natpmp()
{
	local current=${COMP_WORDS[COMP_CWORD]} letter name kind i
	local -A kinds=()

	COMPREPLY=()
	while IFS=$'\t' read -r letter name kind _; do
		kinds[--$name]=$kind
		[[ $letter == - ]] || kinds[-$letter]=$kind
	done < <("$1" --list-options 2>/dev/null)

	[[ $current == = ]] && current=
	# Up to here there are options, and values of some. What is neither is the command. The words
	# after "=" and ":" are words of their own here.
	for ((i = 1; i < COMP_CWORD; i++)); do
		local option=${COMP_WORDS[i]}

		[[ $option == -- ]] && ((i++)) && break
		[[ $option == -* ]] || break
		[[ $option =~ ^-[vq]+(.)$ ]] && option=-${BASH_REMATCH[1]}
		kind=${kinds[$option]:--}
		if [[ ${COMP_WORDS[i + 1]} == = ]]; then
			((i++))
		elif [[ $kind == - ]]; then
			continue
		fi
		if ((++i >= COMP_CWORD)); then
			_natpmp_value "$kind" "$current"
			return
		fi
		while [[ ${COMP_WORDS[i + 1]} == : ]]; do
			((i += 2))
		done
		((i < COMP_CWORD)) || return # after the colon in 8080:80
	done

	if ((i == COMP_CWORD)) && [[ $current == -* && ${COMP_WORDS[i - 1]} != -- ]]; then
		mapfile -t COMPREPLY < <(compgen -W "${!kinds[*]}" -- "$current")
	elif declare -F _command_offset >/dev/null; then
		_command_offset "$i"
	else
		mapfile -t COMPREPLY < <(compgen -c -f -- "$current")
	fi
}

complete -F _natpmp natpmp
