// SPDX-License-Identifier: Apache-2.0
/*
 * netns.c - sockets inside other network namespaces. Only the making of the
 * socket happens there: it stays in its namespace, the thread comes back.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include "internal.h"

int pl_netns_socket(const char *path, int domain, int type, int protocol)
{
	int home, there, ret;

	if (!path)
		return pl_result(socket(domain, type | SOCK_CLOEXEC, protocol));
	there = open(path, O_RDONLY | O_CLOEXEC);
	if (there < 0)
		return -errno;
	home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0) {
		ret = -errno;
		close(there);
		return ret;
	}
	ret = pl_result(setns(there, CLONE_NEWNET));
	if (!ret) {
		ret = pl_result(socket(domain, type | SOCK_CLOEXEC, protocol));
		/* A thread of the pool in a foreign namespace would do harm for ever. */
		if (setns(home, CLONE_NEWNET))
			abort();
	}
	close(home);
	close(there);
	return ret;
}

int pl_netns_cookie(const char *path, uint32_t *out, uint32_t out_len)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	int fd, ret;

	if (!out || out_len < sizeof(cookie))
		return -EMSGSIZE;
	fd = pl_netns_socket(path, AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		return fd;
	ret = pl_result(getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len));
	close(fd);
	if (ret < 0 && ret != -ENOPROTOOPT)
		return ret;
	out[0] = (uint32_t)cookie;
	out[1] = cookie >> 32;
	return 0;
}
