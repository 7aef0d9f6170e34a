# SPDX-License-Identifier: MIT
# Completion of natpmp(1) for bash.

# The words after one of $1; those after "=" and ":" are words of their own here.
_natpmp_value()
{
	case $1 in
	-t | --type)
		mapfile -t COMPREPLY < <(compgen -W 'tcp udp both' -- "$2")
		;;
	-i | --interface)
		mapfile -t COMPREPLY < <(compgen -W "$(ls /sys/class/net 2>/dev/null)" -- "$2")
		;;
	--port-file)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$2")
		;;
	--on-change)
		mapfile -t COMPREPLY < <(compgen -c -- "$2")
		;;
	esac
}

_natpmp()
{
	local current=${COMP_WORDS[COMP_CWORD]} i
	local with_value='^(-[vq]*[tpPgi]|--(type|port|ttl|public|gateway|interface|timeout|on-change|port-file|print))$'

	COMPREPLY=()
	[[ $current == = ]] && current=
	# Up to here there are options, and values of some. What is neither is the command.
	for ((i = 1; i < COMP_CWORD; i++)); do
		local option=${COMP_WORDS[i]}

		[[ $option == -- ]] && ((i++)) && break
		[[ $option == -* ]] || break
		if [[ ${COMP_WORDS[i + 1]} == = ]]; then
			((i++))
		elif [[ ! $option =~ $with_value ]]; then
			continue
		fi
		if ((++i >= COMP_CWORD)); then
			[[ $option == --* ]] || option=-${option: -1}
			_natpmp_value "$option" "$current"
			return
		fi
		while [[ ${COMP_WORDS[i + 1]} == : ]]; do
			((i += 2))
		done
		((i < COMP_CWORD)) || return # after the colon in 8080:80
	done

	if ((i == COMP_CWORD)) && [[ $current == -* && ${COMP_WORDS[i - 1]} != -- ]]; then
		mapfile -t COMPREPLY < <(compgen -W '-t --type -p --port --ttl -P --public -v --verbose
			--version -g --gateway -i --interface --timeout --hold --retry --on-change --port-file
			--print --json -q --quiet --close --close-all --address --check --vpn -? --help' -- "$current")
	elif declare -F _command_offset >/dev/null; then
		_command_offset "$i"
	else
		mapfile -t COMPREPLY < <(compgen -c -f -- "$current")
	fi
}

complete -F _natpmp natpmp
