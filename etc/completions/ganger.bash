# bash completion for ganger(1)                            -*- shell-script -*-
# SPDX-License-Identifier: ISC

# The words in front of a blank of each line of a daemon's list.
__ganger_list()
{
	timeout 1 ganger "${socket[@]}" --json "$@" 2>/dev/null
}

# Names of tasks: the daemon tells them with its pools.
__ganger_names()
{
	__ganger_list status |
		grep -o '"names":\[[^]]*\]' | grep -o '"[^"]*"' | tr -d '"' |
		grep -vx names | sort -u
}

__ganger_queues()
{
	__ganger_list queues | sed -n 's/^{"name":"\([^"]*\)".*/\1/p'
}

__ganger_pools()
{
	__ganger_list status |
		grep -o '{"name":"[^"]*","state":"[^"]*","processes"' |
		cut -d '"' -f 4
}

__ganger_workers()
{
	__ganger_list workers | sed -n 's/^{"worker":"\([^"]*\)".*/\1/p'
}

__ganger_ids()
{
	__ganger_list tasks -n 50 "$@" | sed -n 's/^{"id":\([0-9]*\),.*/\1/p'
}

_ganger()
{
	local cur prev command="" i socket=() words cword options
	local commands="submit call map wait result show cancel retry delete
		tasks queues pause resume purge workers status ping scale restart
		dump reload upgrade stop"
	local states="scheduled ready running succeeded failed cancelled
		expired quarantined"
	local common="-s --socket --json --reconnect -h --help"
	local task="-q --queue -p --priority --delay --at --expires --retries
		--backoff --timeout --soft-timeout --result-ttl --key
		--idempotency-key --at-most-once --durable --volatile"
	local filter="--state -q --queue --name --since --until"

	_get_comp_words_by_ref -n = cur prev words cword 2>/dev/null || {
		words=("${COMP_WORDS[@]}")
		cword=$COMP_CWORD
		cur=${words[cword]}
		prev=${words[cword - 1]}
	}
	for ((i = 1; i < cword; i++)); do
		case ${words[i]} in
		-s | --socket)
			socket=(-s "${words[i + 1]}")
			((i++))
			;;
		--reconnect) ((i++)) ;;
		-*) ;;
		*)
			command=${words[i]}
			break
			;;
		esac
	done

	case $prev in
	-s | --socket)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	-q | --queue)
		mapfile -t COMPREPLY < <(compgen -W "$(__ganger_queues)" -- "$cur")
		return
		;;
	--state)
		mapfile -t COMPREPLY < <(compgen -W "$states" -- "$cur")
		return
		;;
	--name)
		mapfile -t COMPREPLY < <(compgen -W "$(__ganger_names)" -- "$cur")
		return
		;;
	--delay | --expires | --timeout | --soft-timeout | --backoff | \
		--result-ttl | --reconnect | --since | --until)
		mapfile -t COMPREPLY < <(compgen -W "250ms 30s 5m 1h 2d" -- "$cur")
		return
		;;
	-p | --priority | --retries | --at | --key | --unique | --as | -j | \
		--idempotency-key | --jobs | -n | --limit)
		return
		;;
	esac

	case $command in
	"") options="$commands -V --version" ;;
	submit) options="$task --unique --wait" ;;
	call) options="$task --unique" ;;
	map) options="$task -j --jobs --keep-going --unordered --as" ;;
	wait) options="--any --timeout" ;;
	result) options="--wait --timeout" ;;
	cancel) options="$filter --force" ;;
	retry) options="$filter --failed" ;;
	delete) options=$filter ;;
	tasks) options="$filter -n --limit --all" ;;
	stop) options="--now --no-wait" ;;
	*) options="" ;;
	esac
	if [[ $cur != -* && -n $command ]]; then
		case $command in
		submit | call | map)
			if ((i == cword - 1)); then
				options=$(__ganger_names)
			elif [[ $command == map ]]; then
				mapfile -t COMPREPLY < <(compgen -f -- "$cur")
				return
			else
				options=""
			fi
			;;
		wait) options=$(__ganger_ids) ;;
		result | show) options=$(__ganger_ids) ;;
		scale | restart)
			options=""
			((i == cword - 1)) && options=$(__ganger_pools)
			;;
		dump) options=$(__ganger_workers) ;;
		pause | resume | purge) options=$(__ganger_queues) ;;
		cancel) options=$(__ganger_ids --state ready &&
			__ganger_ids --state scheduled &&
			__ganger_ids --state running) ;;
		retry) options=$(__ganger_ids --state failed &&
			__ganger_ids --state quarantined) ;;
		delete) options=$(__ganger_ids --state failed &&
			__ganger_ids --state succeeded) ;;
		esac
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
		return
	fi
	mapfile -t COMPREPLY < <(compgen -W "$options $common" -- "$cur")
}

complete -F _ganger ganger
