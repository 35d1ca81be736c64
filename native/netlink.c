// SPDX-License-Identifier: Apache-2.0
/* netlink.c - requests and their replies, and the socket that follows links. */
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <linux/rtnetlink.h>
#include "internal.h"

/* The kernel's largest dump message. */
#define PL_MESSAGE_MAX 32768
/* Holds the news of some thousand devices that appear at once. */
#define PL_RECEIVE_BUFFER (8 << 20)

static int pl_netlink_send(int fd, struct nlmsghdr *request)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	return pl_result(sendto(fd, request, request->nlmsg_len, 0, (struct sockaddr *)&kernel,
				sizeof(kernel)));
}

/* Returns bytes; 0 for what did not come from the kernel. */
static int pl_netlink_receive(int fd, void *buffer, size_t size)
{
	struct sockaddr_nl from = {};
	struct iovec part = { .iov_base = buffer, .iov_len = size };
	struct msghdr message = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &part, .msg_iovlen = 1,
	};
	int len = pl_result(recvmsg(fd, &message, 0));

	if (len < 0)
		return len;
	if (message.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	return from.nl_pid ? 0 : len;
}

/* Returns 1 when the reply is complete. */
static int pl_netlink_one(const struct nlmsghdr *message, pl_netlink_each each, void *context)
{
	if (message->nlmsg_flags & NLM_F_DUMP_INTR)
		return -EINTR;
	if (message->nlmsg_type == NLMSG_DONE)
		return 1;
	if (message->nlmsg_type == NLMSG_ERROR) {
		int error = ((const struct nlmsgerr *)NLMSG_DATA(message))->error;

		return error ? error : 1;
	}
	return each ? each(message, context) : 0;
}

int pl_netlink_talk(int fd, struct nlmsghdr *request, pl_netlink_each each, void *context)
{
	static __thread char buffer[PL_MESSAGE_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct timeval limit = { .tv_sec = 10 };
	int ret;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
		return -errno;
	ret = pl_netlink_send(fd, request);
	while (ret >= 0) {
		int len = pl_netlink_receive(fd, buffer, sizeof(buffer));
		const struct nlmsghdr *message = (const struct nlmsghdr *)buffer;

		if (len < 0)
			return len;
		for (; NLMSG_OK(message, (unsigned int)len); message = NLMSG_NEXT(message, len)) {
			if (message->nlmsg_seq != request->nlmsg_seq)
				continue;
			ret = pl_netlink_one(message, each, context);
			if (ret)
				return ret > 0 ? 0 : ret;
		}
	}
	return ret;
}

int pl_route_open(void)
{
	struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
	};
	int size = PL_RECEIVE_BUFFER, ret;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	/* The limit of SO_RCVBUF is the administrator's; FORCE needs CAP_NET_ADMIN. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	ret = pl_result(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	if (ret < 0) {
		close(fd);
		return ret;
	}
	return fd;
}

int pl_route_dump(int fd, int kind)
{
	static uint32_t sequence;
	struct {
		struct nlmsghdr header;
		/* ifinfomsg is the longer one; ifaddrmsg's family is its first byte, too */
		struct ifinfomsg body;
	} request = {
		.header = {
			.nlmsg_len = sizeof(request),
			.nlmsg_type = kind ? RTM_GETADDR : RTM_GETLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.body = { .ifi_family = AF_UNSPEC },
	};
	int ret;

	if (kind != 0 && kind != 1)
		return -EINVAL;
	request.header.nlmsg_seq = __atomic_add_fetch(&sequence, 1, __ATOMIC_RELAXED) & 0x7fffffff;
	ret = pl_netlink_send(fd, &request.header);
	return ret < 0 ? ret : (int)request.header.nlmsg_seq;
}

int pl_route_receive(int fd, uint8_t *out, uint32_t out_len)
{
	int len;

	if (!out || out_len < PL_MESSAGE_MAX)
		return -EMSGSIZE;
	do
		len = pl_netlink_receive(fd, out, out_len);
	while (!len);
	return len;
}
