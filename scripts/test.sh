#!/usr/bin/env bash
# Installs what the tests need, builds, and runs every one. The last line is `tests: N passed, N failed, N skipped`.
set -uo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

passed=0 failed=0 skipped=0
started=$SECONDS

finish() {
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
	local code=$?
	mkdir -p build
	printf 'tests: %d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped" | tee build/test-totals
	exit "$code"
}

# check NAME COMMAND...: one test, that the command succeeds. It speaks only when it fails.
check() {
	local name=$1 output
	shift
	if output=$("$@" 2>&1); then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf '%s\n' "$output" "${red}FAIL${plain} $name" >&2
	fi
}

# What `make gen` writes must be what is checked in.
generated_is_current() {
	local file=src/abi/layout.gen.ts before
	before=$(sha256sum "$file") || return 1
	make -s gen || return 1
	[ "$before" = "$(sha256sum "$file")" ] || {
		echo "$file was not what make gen writes; it is now: look at it and check it in"
		git --no-pager diff --stat -- "$file" 2>/dev/null
		return 1
	}
}

run_vitest() {
	rm -f build/test-summary.json
	if can_be_root; then
		as_root env "CI=${CI:-}" "$(command -v node)" node_modules/vitest/vitest.mjs run "$@"
	else
		say 'no root and no sudo: only the tests that need neither are run'
		node node_modules/vitest/vitest.mjs run --project unit "$@"
	fi
}

# Adds build/test-summary.json to the counts and prints its failures, skips and slowest tests.
count_vitest() {
	local code=$1 line
	line=$(node -e '
		const s = JSON.parse(require("fs").readFileSync("build/test-summary.json", "utf8"));
		const say = (text) => process.stderr.write(`${text}\n`);
		say("\nslowest:");
		for (const t of s.slowest) say(`  ${String(t.ms).padStart(6)} ms  ${t.name}`);
		if (s.skips.length > 0) say("\nskipped:");
		for (const t of s.skips) say(`  ${t.name}: ${t.reason}`);
		if (s.flaky.length > 0) say("\npassed only at the second try:");
		for (const t of s.flaky) say(`  ${t.name}: ${t.reason}`);
		if (s.failures.length > 0) say("\nfailed:");
		for (const t of s.failures) say(`  ${t.name}: ${t.reason}`);
		console.log(s.passed, s.failed, s.skipped);') || line='0 1 0'
	read -r p f s <<<"$line"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	# vitest itself says that something went wrong, and no test does.
	if [ "$code" != 0 ] && [ "$f" = 0 ]; then
		failed=$((failed + 1))
		echo "vitest ended with $code" >&2
	fi
}

# Without root the kernel tests count as skipped: each one, or, where they cannot even be listed, each file.
count_kernel_tests_as_skipped() {
	local list=(node node_modules/vitest/vitest.mjs list --project kernel) count
	count=$("${list[@]}" --json 2>/dev/null |
		node -e 'console.log(JSON.parse(require("fs").readFileSync(0, "utf8")).length)' 2>/dev/null) ||
		count=$("${list[@]}" --filesOnly 2>/dev/null | grep -c '\.test\.ts$')
	printf '\nskipped: %d of the kernel project: they need root, and there is no sudo\n' "$count" >&2
	skipped=$((skipped + count))
}

if ! prepare; then
	failed=1
	finish
fi
trap 'give_back' EXIT
check 'make gen leaves the checkout clean' generated_is_current
check 'make check: types, format, lint' make -s check
run_vitest "$@"
count_vitest $?
can_be_root || count_kernel_tests_as_skipped
printf '\ntook %d s\n' $((SECONDS - started))
finish
