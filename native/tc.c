// SPDX-License-Identifier: Apache-2.0
/*
 * tc.c - the clsact way of attaching, for kernels without tcx. Our filter is
 * known by its fixed handle and priority and by a program whose name begins
 * with pl_: nothing else is ever replaced or removed. Priority 80 comes before
 * those that the kernel hands out (49152 and down), so a CNI's verdict does
 * not end the walk before our program has seen the packet.
 */
#include <string.h>
#include <unistd.h>
#include <net/if.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/socket.h>
#include "internal.h"

#define PL_TC_RETRIES 5

struct pl_tc_request {
	struct nlmsghdr header;
	struct tcmsg body;
};

static int pl_tc_dump(int type, int ifindex, uint32_t parent, pl_netlink_each each, void *context)
{
	struct pl_tc_request request = {
		.header = {
			.nlmsg_len = sizeof(request),
			.nlmsg_type = type,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			.nlmsg_seq = 1,
		},
		.body = { .tcm_family = AF_UNSPEC, .tcm_ifindex = ifindex, .tcm_parent = parent },
	};
	int ret = -EINTR;

	for (int i = 0; ret == -EINTR && i < PL_TC_RETRIES; i++) {
		int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

		if (fd < 0)
			return -errno;
		ret = pl_netlink_talk(fd, &request.header, each, context);
		close(fd);
	}
	return ret;
}

struct pl_qdisc {
	int ifindex;
	bool clsact;
	bool ingress;	/* the older kind: has no egress, and takes any filter as ingress */
	bool shared;	/* its filters are in a block that other devices use, too */
};

static int pl_qdisc_seen(const struct nlmsghdr *message, void *context)
{
	const struct tcmsg *tc = NLMSG_DATA(message);
	int len = message->nlmsg_len - NLMSG_LENGTH(sizeof(*tc));
	struct pl_qdisc *qdisc = context;

	if (message->nlmsg_type != RTM_NEWQDISC || tc->tcm_ifindex != qdisc->ifindex ||
	    tc->tcm_parent != TC_H_CLSACT)
		return 0;
	for (const struct rtattr *a = (const void *)(tc + 1); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == TCA_KIND) {
			qdisc->clsact = !strcmp(RTA_DATA(a), "clsact");
			qdisc->ingress = !strcmp(RTA_DATA(a), "ingress");
		} else if (a->rta_type == TCA_INGRESS_BLOCK || a->rta_type == TCA_EGRESS_BLOCK) {
			qdisc->shared = true;
		}
	}
	return 0;
}

static int pl_qdisc_find(int ifindex, struct pl_qdisc *qdisc)
{
	*qdisc = (struct pl_qdisc){ .ifindex = ifindex };
	return pl_tc_dump(RTM_GETQDISC, ifindex, 0, pl_qdisc_seen, qdisc);
}

static int pl_filter_seen(const struct nlmsghdr *message, void *context)
{
	if (message->nlmsg_type == RTM_NEWTFILTER)
		(*(int *)context)++;
	return 0;
}

/* Removes the clsact qdisc unless somebody has a filter in it, ours included. */
static int pl_qdisc_release(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, both, .ifindex = ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	struct pl_qdisc qdisc;
	int filters = 0, ret = pl_qdisc_find(ifindex, &qdisc);

	if (ret < 0 || !qdisc.clsact || qdisc.shared)
		return ret;
	ret = pl_tc_dump(RTM_GETTFILTER, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
			 pl_filter_seen, &filters);
	if (!ret)
		ret = pl_tc_dump(RTM_GETTFILTER, ifindex,
				 TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS), pl_filter_seen, &filters);
	if (ret < 0 || filters)
		return ret;
	return bpf_tc_hook_destroy(&both);
}

struct pl_tc_filter {
	bool taken;		/* our handle and priority are in use ... */
	uint32_t program;	/* ... by this program; 0: by another kind of filter */
};

static uint32_t pl_filter_program(const struct rtattr *options)
{
	int len = RTA_PAYLOAD(options);

	for (const struct rtattr *a = RTA_DATA(options); RTA_OK(a, len); a = RTA_NEXT(a, len))
		if ((a->rta_type & NLA_TYPE_MASK) == TCA_BPF_ID)
			return *(const uint32_t *)RTA_DATA(a);
	return 0;
}

static int pl_filter_ours(const struct nlmsghdr *message, void *context)
{
	const struct tcmsg *tc = NLMSG_DATA(message);
	int len = message->nlmsg_len - NLMSG_LENGTH(sizeof(*tc));
	struct pl_tc_filter *filter = context;
	bool bpf = false;

	if (message->nlmsg_type != RTM_NEWTFILTER || tc->tcm_handle != PL_TC_HANDLE ||
	    TC_H_MAJ(tc->tcm_info) >> 16 != PL_TC_PRIORITY)
		return 0;
	filter->taken = true;
	for (const struct rtattr *a = (const void *)(tc + 1); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == TCA_KIND)
			bpf = !strcmp(RTA_DATA(a), "bpf");
		else if (bpf && (a->rta_type & NLA_TYPE_MASK) == TCA_OPTIONS)
			filter->program = pl_filter_program(a);
	}
	return 0;
}

/* 1: our filter is there; 0: none is; -EEXIST: one that is not ours. */
static int pl_tc_ours(const struct bpf_tc_hook *hook, const struct pl_qdisc *qdisc)
{
	bool egress = hook->attach_point == BPF_TC_EGRESS;
	uint32_t minor = egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS;
	struct pl_tc_filter filter = {};
	char name[BPF_OBJ_NAME_LEN];
	int ret;

	if (!qdisc->clsact && (!qdisc->ingress || egress))
		return 0;
	ret = pl_tc_dump(RTM_GETTFILTER, hook->ifindex, TC_H_MAKE(TC_H_CLSACT, minor),
			 pl_filter_ours, &filter);
	if (ret < 0 || !filter.taken)
		return ret;
	pl_program_name(filter.program, name, sizeof(name));
	if (!strncmp(name, "pl_", 3))
		return 1;
	pl_log_add("the filter with priority %d and handle 0x%x runs program '%s' (id %u), which "
		   "is not ours\n", PL_TC_PRIORITY, PL_TC_HANDLE, name, filter.program);
	return -EEXIST;
}

static int pl_tc_find(const struct bpf_tc_hook *hook, struct pl_qdisc *qdisc)
{
	char name[IF_NAMESIZE];
	int ret;

	if (hook->ifindex <= 0 || !if_indextoname(hook->ifindex, name))
		return -ENODEV;
	ret = pl_qdisc_find(hook->ifindex, qdisc);
	return ret < 0 ? ret : pl_tc_ours(hook, qdisc);
}

int pl_tc_attach(int ifindex, int egress, int program_fd, char *err, uint32_t err_len)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = PL_TC_HANDLE, .priority = PL_TC_PRIORITY,
		    .prog_fd = program_fd, .flags = BPF_TC_F_REPLACE);
	struct pl_qdisc qdisc;
	int ret;

	pl_log_begin();
	ret = pl_tc_find(&hook, &qdisc);
	if (ret >= 0 && qdisc.ingress && egress) {
		pl_log_add("the device has an 'ingress' qdisc, which takes the place of clsact\n");
		ret = -EBUSY;
	}
	if (ret < 0)
		return pl_log_end(ret, err, err_len);
	ret = qdisc.clsact || qdisc.ingress ? 0 : bpf_tc_hook_create(&hook);
	if (!ret || ret == -EEXIST)
		ret = bpf_tc_attach(&hook, &options);
	if (ret < 0 && !qdisc.clsact)
		pl_qdisc_release(ifindex);
	return pl_log_end(ret < 0 ? ret : 0, err, err_len);
}

int pl_tc_detach(int ifindex, int egress, char *err, uint32_t err_len)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, ours, .handle = PL_TC_HANDLE, .priority = PL_TC_PRIORITY);
	struct pl_qdisc qdisc;
	int ret;

	pl_log_begin();
	ret = pl_tc_find(&hook, &qdisc);
	if (ret == 1) {
		ret = bpf_tc_detach(&hook, &ours);
		if (!ret)
			ret = pl_qdisc_release(ifindex);
		if (!ret)
			ret = 1;
	}
	return pl_log_end(ret, err, err_len);
}
