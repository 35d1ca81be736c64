// SPDX-License-Identifier: Apache-2.0
/*
 * peer: the traffic tool of the lab, the tests, the demo and the bench. It stands at both ends of real connections and
 * says what happened, so that no test guesses from an exit code. `peer --help` lists what it can do.
 */
#include "peer/common.h"
#include "peer/serve.h"
#include "peer/modes.h"
#include "peer/big.h"

static const char usage[] =
	"peer serve --name NAME [--tcp PORT,...] [--udp PORT,...]\n"
	"    answers with 'NAME client-address client-port server-address', then echoes\n"
	"peer ask tcp|udp ADDRESS PORT [--count N] [--interval MS] [--keep]\n"
	"    one question after the other; --keep: all on one socket\n"
	"peer load tcp|udp ADDRESS PORT --rate N --seconds S [--progress MS]\n"
	"    N new connections a second; prints JSON\n"
	"peer hold tcp|udp ADDRESS PORT --connections N --interval MS --seconds S [--progress MS] [--reconnect]\n"
	"    connections that stay and ask again and again; prints JSON\n"
	"    --reconnect: a UDP socket that the kernel aborts is made anew, which is no failure\n"
	"peer big tcp|udp ADDRESS PORT --bytes N\n"
	"    sends N bytes and compares what comes back\n"
	"\n"
	"For all that ask:\n"
	"    --timeout MS        how long an answer may take, connecting included (1000)\n"
	"    --connected         connect() UDP sockets\n"
	"    --bind-port PORT, --bind-address ADDRESS\n"
	"    --json              for ask and big\n"
	"Exit code: 0 when every answer came, 1 when one did not, 2 when asked for something impossible.\n";

enum {
	OPT_NAME = 256,
	OPT_TCP,
	OPT_UDP,
	OPT_TIMEOUT,
	OPT_BIND_PORT,
	OPT_BIND_ADDRESS,
	OPT_COUNT,
	OPT_CONNECTED,
	OPT_RATE,
	OPT_SECONDS,
	OPT_CONNECTIONS,
	OPT_INTERVAL,
	OPT_BYTES,
	OPT_PROGRESS,
	OPT_JSON,
	OPT_KEEP,
	OPT_RECONNECT,
	OPT_HELP,
};

static const struct option long_options[] = {
	{ "name", required_argument, NULL, OPT_NAME },
	{ "tcp", required_argument, NULL, OPT_TCP },
	{ "udp", required_argument, NULL, OPT_UDP },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "bind-port", required_argument, NULL, OPT_BIND_PORT },
	{ "bind-address", required_argument, NULL, OPT_BIND_ADDRESS },
	{ "count", required_argument, NULL, OPT_COUNT },
	{ "connected", no_argument, NULL, OPT_CONNECTED },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "connections", required_argument, NULL, OPT_CONNECTIONS },
	{ "interval", required_argument, NULL, OPT_INTERVAL },
	{ "bytes", required_argument, NULL, OPT_BYTES },
	{ "progress", required_argument, NULL, OPT_PROGRESS },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "keep", no_argument, NULL, OPT_KEEP },
	{ "reconnect", no_argument, NULL, OPT_RECONNECT },
	{ "help", no_argument, NULL, OPT_HELP },
	{},
};

static long number(const char *what, const char *text, long low, long high)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (!*text || *end || value < low || value > high)
		die("%s must be a number from %ld to %ld, not '%s'", what, low, high, text);
	return value;
}

static void take_option(struct options *o, int option)
{
	switch (option) {
	case OPT_NAME:
		if (strlen(optarg) >= NAME_MAX_BYTES || strpbrk(optarg, " \n"))
			die("a name has up to %d characters and no spaces", NAME_MAX_BYTES - 1);
		o->name = optarg;
		break;
	case OPT_TCP: o->tcp_ports = optarg; break;
	case OPT_UDP: o->udp_ports = optarg; break;
	case OPT_TIMEOUT: o->timeout_ms = number("--timeout", optarg, 1, 600000); break;
	case OPT_BIND_PORT: o->bind_port = number("--bind-port", optarg, 1, 65535); break;
	case OPT_BIND_ADDRESS: o->bind_address = optarg; break;
	case OPT_COUNT: o->count = number("--count", optarg, 1, 1000000); break;
	case OPT_CONNECTED: o->connected = true; break;
	case OPT_RATE: o->rate = number("--rate", optarg, 1, 100000); break;
	case OPT_SECONDS: o->seconds = number("--seconds", optarg, 1, 3600); break;
	case OPT_CONNECTIONS: o->connections = number("--connections", optarg, 1, 100000); break;
	case OPT_INTERVAL: o->interval_ms = number("--interval", optarg, 0, 600000); break;
	case OPT_BYTES: o->bytes = number("--bytes", optarg, 1, 1L << 40); break;
	case OPT_PROGRESS: o->progress_ms = number("--progress", optarg, 10, 600000); break;
	case OPT_JSON: o->json = true; break;
	case OPT_KEEP: o->keep = true; break;
	case OPT_RECONNECT: o->reconnect = true; break;
	case OPT_HELP:
		fputs(usage, stdout);
		exit(0);
	default:
		fputs(usage, stderr);
		exit(2);
	}
}

/* The three words after the mode: protocol, address, port. */
static void take_target(struct options *o, char **words, int count)
{
	if (count != 3)
		die("say tcp or udp, an address and a port");
	if (strcmp(words[0], "tcp") && strcmp(words[0], "udp"))
		die("neither tcp nor udp: %s", words[0]);
	o->udp = !strcmp(words[0], "udp");
	if (!parse_address(words[1], number("port", words[2], 1, 65535), &o->target))
		die("no address: %s", words[1]);
}

int main(int argc, char **argv)
{
	struct options o = { .name = "peer",
			     .timeout_ms = 1000,
			     .count = 1,
			     .rate = 100,
			     .seconds = 10,
			     .connections = 10,
			     .interval_ms = -1,
			     .bytes = 1000000 };
	const char *mode;
	int option;

	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
		take_option(&o, option);
	mode = optind < argc ? argv[optind++] : "";
	raise_file_limit();
	stop_on_signals();
	if (!strcmp(mode, "serve"))
		return serve(&o);
	if (strcmp(mode, "ask") && strcmp(mode, "load") && strcmp(mode, "hold") && strcmp(mode, "big")) {
		fputs(usage, stderr);
		return 2;
	}
	take_target(&o, argv + optind, argc - optind);
	if (!strcmp(mode, "ask")) {
		if (o.interval_ms < 0)
			o.interval_ms = 0;
		return ask(&o);
	}
	if (!strcmp(mode, "big"))
		return big(&o);
	if (o.interval_ms <= 0)
		o.interval_ms = 100;
	/* Nothing may keep a run alive much longer than it was asked to last. */
	alarm(o.seconds + o.timeout_ms / 1000 + 10);
	return !strcmp(mode, "load") ? load(&o) : hold(&o);
}
