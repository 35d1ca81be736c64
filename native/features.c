// SPDX-License-Identifier: Apache-2.0
/*
 * features.c - what this kernel can do, by asking for it: distributions carry
 * features back, so its version says little. Nothing is left behind.
 */
#include <unistd.h>
#include <sys/socket.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include "internal.h"

#define PL_TCX_INGRESS 46	/* BPF_TCX_INGRESS, Linux 6.6 */
#define PL_NO_SUCH_DEVICE 0x7fffffff

/*
 * A link to a device that cannot exist: a kernel with tcx looks for the device
 * and says so, one without it refuses the attach type before it looks.
 */
static int pl_probe_tcx(void)
{
	struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = -1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "pl_probe", "GPL", pass, PL_COUNT(pass),
			       NULL);
	int ret;

	if (fd < 0)
		return -errno;
	ret = pl_link_create(fd, PL_NO_SUCH_DEVICE, PL_TCX_INGRESS);
	close(fd);
	if (ret >= 0)
		close(ret);
	return ret == -ENODEV || ret >= 0;
}

static int pl_probe_netns_cookie(void)
{
	uint64_t cookie;
	socklen_t len = sizeof(cookie);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	if (fd < 0)
		return -errno;
	ret = getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len);
	close(fd);
	return !ret;
}

static int pl_probe_btf(void)
{
	return !access("/sys/kernel/btf/vmlinux", R_OK);
}

int pl_features(void)
{
	static const struct {
		int (*probe)(void);
		int bit;
	} probes[] = {
		{ pl_probe_tcx, PL_FEATURE_TCX },
		{ pl_destroy_probe, PL_FEATURE_SOCK_DESTROY },
		{ pl_probe_netns_cookie, PL_FEATURE_NETNS_COOKIE },
		{ pl_probe_btf, PL_FEATURE_BTF },
	};
	int bits = 0;

	for (unsigned int i = 0; i < PL_COUNT(probes); i++) {
		int ret = probes[i].probe();

		if (ret < 0)
			return ret;
		if (ret)
			bits |= probes[i].bit;
	}
	return bits;
}
