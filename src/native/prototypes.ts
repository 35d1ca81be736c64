/**
 * The functions of native/portolan.h as koffi declares them. A test compares the two, so this is not a second truth.
 * `err` and other text buffers are bytes here, strings into the library are `const char *`.
 */
export const PROTOTYPES = {
  pl_abi_version: 'int pl_abi_version(void)',
  pl_possible_cpus: 'int pl_possible_cpus(void)',
  pl_features: 'int pl_features(void)',
  pl_object_open:
    'int pl_object_open(const uint8_t *elf, uint32_t elf_len, const char *name, uint8_t *err, uint32_t err_len)',
  pl_object_set_variable:
    'int pl_object_set_variable(int object, const char *name, const uint8_t *data, uint32_t data_len, uint8_t *err, uint32_t err_len)',
  pl_object_set_map_pin:
    'int pl_object_set_map_pin(int object, const char *map, const char *path, uint8_t *err, uint32_t err_len)',
  pl_object_set_map_max:
    'int pl_object_set_map_max(int object, const char *map, uint32_t max_entries, uint8_t *err, uint32_t err_len)',
  pl_object_set_autoload:
    'int pl_object_set_autoload(int object, const char *program, int on, uint8_t *err, uint32_t err_len)',
  pl_object_load: 'int pl_object_load(int object, uint8_t *err, uint32_t err_len)',
  pl_object_program_fd: 'int pl_object_program_fd(int object, const char *name)',
  pl_object_map_fd: 'int pl_object_map_fd(int object, const char *name)',
  pl_object_verified: 'int pl_object_verified(int object, const char *name)',
  pl_object_close: 'int pl_object_close(int object)',
  pl_map_info: 'int pl_map_info(int fd, uint32_t *out, uint32_t out_len)',
  pl_map_update:
    'int pl_map_update(int fd, const uint8_t *key, uint32_t key_len, const uint8_t *value, uint32_t value_len, uint32_t flags)',
  pl_map_lookup:
    'int pl_map_lookup(int fd, const uint8_t *key, uint32_t key_len, uint8_t *value, uint32_t value_len)',
  pl_map_delete: 'int pl_map_delete(int fd, const uint8_t *key, uint32_t key_len)',
  pl_map_update_batch:
    'int pl_map_update_batch(int fd, const uint8_t *keys, uint32_t keys_len, const uint8_t *values, uint32_t values_len, uint32_t count, uint32_t *out, uint32_t out_len)',
  pl_map_delete_batch:
    'int pl_map_delete_batch(int fd, const uint8_t *keys, uint32_t keys_len, uint32_t count, uint32_t *out, uint32_t out_len)',
  pl_map_dump: 'int pl_map_dump(int fd, uint32_t *out, uint32_t out_len)',
  pl_dump_take:
    'int pl_dump_take(int dump, uint8_t *keys, uint32_t keys_len, uint8_t *values, uint32_t values_len)',
  pl_link_create: 'int pl_link_create(int program_fd, int target, uint32_t attach_type)',
  pl_link_update: 'int pl_link_update(int link_fd, int program_fd)',
  pl_link_detach: 'int pl_link_detach(int link_fd)',
  pl_link_info: 'int pl_link_info(int link_fd, uint32_t *out, uint32_t out_len)',
  pl_tc_attach: 'int pl_tc_attach(int ifindex, int egress, int program_fd, uint8_t *err, uint32_t err_len)',
  pl_tc_detach: 'int pl_tc_detach(int ifindex, int egress, uint8_t *err, uint32_t err_len)',
  pl_program_run:
    'int pl_program_run(int program_fd, const uint8_t *data, uint32_t data_len, uint8_t *data_out, uint32_t data_out_len, uint8_t *context, uint32_t context_len, uint32_t repeat, uint32_t *out, uint32_t out_len)',
  pl_program_type: 'int pl_program_type(int program_fd)',
  pl_pin: 'int pl_pin(int fd, const char *path)',
  pl_get_pinned: 'int pl_get_pinned(const char *path)',
  pl_close: 'int pl_close(int fd)',
  pl_lock: 'int pl_lock(const char *path)',
  pl_mount_bpffs: 'int pl_mount_bpffs(const char *path)',
  pl_filesystem_type: 'int pl_filesystem_type(const char *path, uint32_t *out, uint32_t out_len)',
  pl_netns_cookie: 'int pl_netns_cookie(const char *path, uint32_t *out, uint32_t out_len)',
  pl_destroy_sockets:
    'int pl_destroy_sockets(const char *netns, const uint8_t *sockets, uint32_t sockets_len)',
  pl_route_open: 'int pl_route_open(void)',
  pl_route_dump: 'int pl_route_dump(int fd, int kind)',
  pl_route_receive: 'int pl_route_receive(int fd, uint8_t *out, uint32_t out_len)',
} as const;

export type FunctionName = keyof typeof PROTOTYPES;
