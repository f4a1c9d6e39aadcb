# shellcheck shell=bash
# The functions of tests/systemd/run. It sets $here, $name, $root, $work, $mail, $secret and $package, as well as $relay
# (a process) and $count (of the checks that passed).

lab() {
    "$here/lab" "$@"
}

inside() {
    lab exec "$name" "$@"
}

end() {
    local code=$?
    if [ $code != 0 ] && [ -n "$root" ]; then
        echo "FAILED: ${checking:-}" >&2
        inside journalctl -u linedown.service -u linedown.socket --no-hostname -n 40 >&2 || :
        cat "$mail" "$work"/*.said "$work/apt" >&2 2>/dev/null || :
    fi
    for process in $(jobs -p); do kill "$process" || :; done
    [ -z "$root" ] || lab down "$name"
    rm -rf "$work"
}

# Begins a check; `shown` says that it passed.
check() {
    checking=$*
}

shown() {
    count=$((count + 1))
    echo "  ok: $checking${1:+ ($1)}"
}

# Runs a command again and again until it succeeds; fails after a minute or more.
until_it() {
    for _ in $(seq 600); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    echo "waited in vain for: $*" >&2
    return 1
}

refused() {
    ! "$@" >/dev/null 2>&1
}

property() {
    inside systemctl show linedown.service -P "$1"
}

status_says() {
    property StatusText | grep -q -- "$1"
}

logged() {
    inside journalctl -u linedown -o cat | grep -q -- "$1"
}

active_but_not_as() {
    [ "$(property ActiveState)" = active ] && [ "$(property MainPID)" != "$1" ]
}

# The number of reloads so far, by the journal.
reloads() {
    inside journalctl -u linedown -o cat MESSAGE_ID=346642febcc347f8a56380d6face6576 | wc -l
}

reloaded_beyond() {
    [ "$(reloads)" -gt "$1" ]
}

# post LINE [URL]: posts a webhook about that line; succeeds if it is taken.
post() {
    lab net "$name" curl --silent --show-error --fail --max-time 30 --output /dev/null \
        --header 'content-type: application/json' \
        --data '{"type":"DisconnectedCallback","instanceId":"'"$1"'","error":"Device has been disconnected"}' \
        --cacert "$work/fullchain.pem" "${2:-http://127.0.0.1:8080}/hooks/z-api/$secret"
}

mailed() {
    grep -q -- "$1" "$mail"
}

start_relay() {
    # Not through the function lab: $! must be the process to kill.
    "$here/lab" net "$name" /usr/bin/python3 "$here/relay.py" "$mail" &
    relay=$!
    until_it lab net "$name" bash -c '</dev/tcp/127.0.0.1/2525'
}

stop_relay() {
    kill "$relay"
    wait "$relay" || :
    relay=''
}

# incidents_of PREFIX: the number of lines in `linedown incidents` whose names begin with PREFIX.
incidents_of() {
    inside linedown incidents --json --limit 10000 | grep -o '"instance": *"'"$1"'[^"]*"' | sort -u | wc -l
}

# under_load NAME COMMAND…: runs the command while webhooks pour in; none may be refused, fail or be lost.
under_load() {
    local load=$1 poster said taken
    shift
    mkfifo "$work/$load"
    lab net "$name" /usr/bin/python3 "$here/load.py" 127.0.0.1:8080 $secret "$load" <"$work/$load" >"$work/$load.said" &
    poster=$!
    exec 9>"$work/$load"
    sleep 0.5
    "$@"
    sleep 0.5
    exec 9>&-
    wait $poster
    said=$(cat "$work/$load.said")
    taken=${said%% *}
    [ "$said" = "$taken taken, 0 refused, 0 failed" ] || { echo "$said" >&2; return 1; }
    [ "$(incidents_of "load-$load-")" = "$taken" ]
    shown "$said, 0 lost"
}

restart_three_times() {
    for _ in 1 2 3; do
        inside systemctl restart linedown
        sleep 0.3
    done
}

# configure [LINES]: writes the administrator's config, with further lines.
configure() {
    cat >"$root/etc/linedown/linedown.toml" <<END
# Edited by the administrator.
[sources.z-api]
type = "z-api"
secret = { credential = "z-api-secret" }
[troubles]
disk_free_below = "0%"
[sinks.console]
type = "stdout"
[sinks.mail]
type = "email"
server = "smtp://127.0.0.1:2525"
tls = "none"
from = "alerts@example.com"
to = "ops@example.com"
retry = { first = "500ms", max = "1s" }
[sinks.nowhere]
type = "email"
server = "smtp://127.0.0.1:2525"
tls = "none"
from = "alerts@example.com"
to = "refused@example.com"
fallback = "mail"
[[rules]]
name = "nobody there"
match = { instance = "nobody-there" }
notify = ["nowhere"]
[[rules]]
name = "load"
match = { instance = "load-*" }
notify = ["console"]
[[rules]]
name = "everything else"
notify = ["mail"]
group_interval = "0s"
${1:-}
END
}

# kernel_says NAME REGEX: whether the kernel has this value in the status of the daemon's process.
kernel_says() {
    grep -q "^$1:[[:space:]]*$2\$" "$root/proc/$(property MainPID)/status"
}

# section NAME: prints this section of docs/service.md.
section() {
    awk -v wanted="## $1" '/^## / { within = $0 == wanted } within' "$here/../../docs/service.md"
}

# drop_in SECTION N: installs the N-th block of this section of docs/service.md, until `no_drop_ins`.
drop_in() {
    mkdir -p "$root/run/systemd/system/linedown.service.d"
    section "$1" |
        awk -v wanted="$2" '/^```ini$/ { block++; within = 1; next } /^```$/ { within = 0 } within && block == wanted' \
            >"$root/run/systemd/system/linedown.service.d/$2.conf"
    [ -s "$root/run/systemd/system/linedown.service.d/$2.conf" ]
    inside systemctl daemon-reload
}

no_drop_ins() {
    rm -r "$root/run/systemd/system/linedown.service.d"
    inside systemctl daemon-reload
}

# Builds the package again as the next version.
next_version() {
    dpkg-deb -R "$package" "$work/next"
    sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
    dpkg-deb --root-owner-group --build "$work/next" "$root/root/next.deb" >/dev/null
}

install() {
    inside apt-get -qq install --yes --no-install-recommends -o Dpkg::Use-Pty=0 "$1" >"$work/apt" 2>&1 ||
        { cat "$work/apt" >&2; return 1; }
}

# Debian's rpm warns that it is not meant for installing; that goes to the log.
rpm() {
    inside rpm "$@" 2>>"$work/apt"
}
