# What the other scripts share. Sourced from the repository's top folder.

NODE_VERSION=24.21.0
NPM_VERSION=11.19.1
TOOLS="$PWD/.tools"
PATH="$TOOLS/bin:$PATH:/usr/sbin:/sbin"
export PATH

if [ -t 2 ]; then bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'; else bold='' dim='' red='' plain=''; fi

say() { printf '%s\n' "${bold}==>${plain} $*" >&2; }

die() {
	printf '%s\n' "${red}error:${plain} $*" >&2
	exit 1
}

# Runs a command as root: directly, or through sudo, which may ask for a password only where somebody can answer.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif ! command -v sudo >/dev/null; then
		die "root is needed for: $*; there is no sudo, so run this as root"
	elif [ -t 0 ]; then
		sudo env "PATH=$PATH" "$@"
	else
		sudo -n env "PATH=$PATH" "$@"
	fi
}

can_be_root() {
	[ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; }
}

# What ran as root may have written caches and results: they go back to whom the folder belongs to.
give_back() {
	[ "$(id -u)" = 0 ] || as_root chown -R "$(id -u):$(id -g)" build node_modules/.vite* 2>/dev/null || true
}

# Everything that is needed to run: packages, then what is built from our sources.
prepare() {
	scripts/deps.sh
	make -s build
}
