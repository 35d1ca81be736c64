// SPDX-License-Identifier: Apache-2.0
/*
 * sock-destroy.c - destroys sockets that are known by their cookies. The
 * kernel wants addresses and ports as well, so the namespace's sockets are
 * read first; the cookie then makes certain that no other one is hit.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include "internal.h"

#define PL_RECORD 16

struct pl_victim {
	uint8_t family;		/* AF_INET, AF_INET6 */
	uint8_t protocol;
	uint64_t cookie;
	struct inet_diag_sockid id;
	bool found;
};

struct pl_victims {
	struct pl_victim *all;
	uint32_t count;
	uint8_t family;		/* of the dump under way */
	uint8_t protocol;
};

struct pl_diag_request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 body;
};

static struct pl_diag_request pl_diag_request(int type, int flags, uint8_t family,
					      uint8_t protocol)
{
	static uint32_t sequence;

	return (struct pl_diag_request){
		.header = {
			.nlmsg_len = sizeof(struct pl_diag_request),
			.nlmsg_type = type,
			.nlmsg_flags = NLM_F_REQUEST | flags,
			.nlmsg_seq = __atomic_add_fetch(&sequence, 1, __ATOMIC_RELAXED),
		},
		.body = {
			.sdiag_family = family,
			.sdiag_protocol = protocol,
			.idiag_states = ~0U,
		},
	};
}

static int pl_victim_order(const void *a, const void *b)
{
	uint64_t x = ((const struct pl_victim *)a)->cookie;
	uint64_t y = ((const struct pl_victim *)b)->cookie;

	return x < y ? -1 : x > y;
}

static int pl_victim_seen(const struct nlmsghdr *message, void *context)
{
	struct pl_victims *victims = context;
	const struct inet_diag_msg *socket = NLMSG_DATA(message);
	struct pl_victim wanted, *victim;

	if (message->nlmsg_len < NLMSG_LENGTH(sizeof(*socket)))
		return -EBADMSG;
	wanted.cookie = (uint64_t)socket->id.idiag_cookie[1] << 32 | socket->id.idiag_cookie[0];
	victim = bsearch(&wanted, victims->all, victims->count, sizeof(wanted), pl_victim_order);
	if (victim && victim->family == victims->family && victim->protocol == victims->protocol) {
		victim->id = socket->id;
		victim->found = true;
	}
	return 0;
}

/* Finds the victims among the sockets of each family and protocol asked for. */
static int pl_victims_find(int fd, struct pl_victims *victims)
{
	bool read[2][256] = {};

	for (uint32_t i = 0; i < victims->count; i++) {
		struct pl_diag_request request;
		bool *done;
		int ret;

		victims->family = victims->all[i].family;
		victims->protocol = victims->all[i].protocol;
		done = &read[victims->family == AF_INET6][victims->protocol];
		if (*done)
			continue;
		*done = true;
		request = pl_diag_request(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, victims->family,
					  victims->protocol);
		ret = pl_netlink_talk(fd, &request.header, pl_victim_seen, victims);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int pl_victim_destroy(int fd, const struct pl_victim *victim)
{
	struct pl_diag_request request =
		pl_diag_request(SOCK_DESTROY, NLM_F_ACK, victim->family, victim->protocol);

	request.body.id = victim->id;
	return pl_netlink_talk(fd, &request.header, NULL, NULL);
}

/* One that is gone meanwhile, or has passed its tuple on, is not counted. */
static int pl_victims_destroy(int fd, const struct pl_victims *victims)
{
	int count = 0;

	for (uint32_t i = 0; i < victims->count; i++) {
		int ret = victims->all[i].found ? pl_victim_destroy(fd, &victims->all[i]) : -ENOENT;

		if (!ret)
			count++;
		else if (ret != -ENOENT && ret != -ESTALE)
			return ret;
	}
	return count;
}

static int pl_victims_read(struct pl_victims *victims, const uint8_t *records)
{
	for (uint32_t i = 0; i < victims->count; i++, records += PL_RECORD) {
		struct pl_victim *victim = &victims->all[i];

		if ((records[0] != 4 && records[0] != 6) || !records[1])
			return -EINVAL;
		victim->family = records[0] == 4 ? AF_INET : AF_INET6;
		victim->protocol = records[1];
		memcpy(&victim->cookie, records + 8, sizeof(victim->cookie));
	}
	qsort(victims->all, victims->count, sizeof(*victims->all), pl_victim_order);
	return 0;
}

int pl_destroy_sockets(const char *netns, const uint8_t *sockets, uint32_t sockets_len)
{
	struct pl_victims victims = { .count = sockets_len / PL_RECORD };
	int fd = -1, ret;

	if (!netns || !sockets)
		return -EINVAL;
	if (!sockets_len || sockets_len % PL_RECORD)
		return -EMSGSIZE;
	victims.all = calloc(victims.count, sizeof(*victims.all));
	if (!victims.all)
		return -ENOMEM;
	ret = pl_victims_read(&victims, sockets);
	if (!ret)
		ret = fd = pl_netns_socket(netns, AF_NETLINK, SOCK_DGRAM, NETLINK_SOCK_DIAG);
	if (ret >= 0)
		ret = pl_victims_find(fd, &victims);
	if (ret >= 0)
		ret = pl_victims_destroy(fd, &victims);
	if (fd >= 0)
		close(fd);
	free(victims.all);
	return ret;
}

/* Fills in what SOCK_DESTROY needs of a UDP socket of our own. */
static int pl_probe_victim(int udp, struct pl_victim *victim)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address), cookie_len = sizeof(victim->cookie);

	if (bind(udp, (struct sockaddr *)&address, sizeof(address)) ||
	    getsockname(udp, (struct sockaddr *)&address, &len) ||
	    getsockopt(udp, SOL_SOCKET, SO_COOKIE, &victim->cookie, &cookie_len))
		return -errno;
	victim->family = AF_INET;
	victim->protocol = IPPROTO_UDP;
	victim->id.idiag_sport = address.sin_port;
	victim->id.idiag_cookie[0] = (uint32_t)victim->cookie;
	victim->id.idiag_cookie[1] = victim->cookie >> 32;
	return 0;
}

/* Destroys a socket made for it, the only certain way to know. 1, 0 or -errno. */
int pl_destroy_probe(void)
{
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), fd, ret;
	struct pl_victim victim = {};

	if (udp < 0)
		return -errno;
	fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	ret = fd < 0 ? -errno : pl_probe_victim(udp, &victim);
	if (!ret)
		ret = pl_victim_destroy(fd, &victim);
	if (fd >= 0)
		close(fd);
	close(udp);
	if (!ret)
		return 1;
	return ret == -EPERM || ret == -EACCES ? ret : 0;
}
