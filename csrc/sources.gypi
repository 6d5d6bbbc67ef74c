# What the addon and the opener are made of. Kept beside the sources, so that a source build from the tarball (which carries no root
# binding.gyp: npm would list it as an install script) uses the same list.
{
  'variables': {
    'sanitize%': '',
    # what opens lock files: in the addon (isolation "thread"), and an executable of its own
    'opener_sources': [
      'csrc/dlmfs/acquire.cc',
      'csrc/dlmfs/cluster_name.cc',
      'csrc/dlmfs/files.cc',
      'csrc/dlmfs/join.cc',
      'csrc/dlmfs/opener.cc',
      'csrc/dlmfs/packet.cc',
      'csrc/dlmfs/range.cc',
      'csrc/dlmfs/task.cc',
      'csrc/sys/interrupt.cc',
      'csrc/sys/own_table.cc',
      'csrc/sys/packets.cc',
      'csrc/sys/range_lock.cc',
      'csrc/sys/thread.cc',
    ],
    'addon_sources': [
      'csrc/clog/codec.cc',
      'csrc/clog/receiver.cc',
      'csrc/clog/regions.cc',
      'csrc/clog/block_device.cc',
      'csrc/clog/dm_answer.cc',
      'csrc/clog/dm_tables.cc',
      'csrc/dlm/channel.cc',
      'csrc/dlm/codec.cc',
      'csrc/dlm/control.cc',
      'csrc/dlm/gate.cc',
      'csrc/dlm/lock_dump.cc',
      'csrc/dlm/lone_write.cc',
      'csrc/dlm/submitter.cc',
      'csrc/dlm/uevent.cc',
      'csrc/dlmfs/opener_process.cc',
      'csrc/napi/block_device_wrap.cc',
      'csrc/napi/channel_wrap.cc',
      'csrc/napi/clog_system_wrap.cc',
      'csrc/napi/control_wrap.cc',
      'csrc/napi/errors.cc',
      'csrc/napi/exports.cc',
      'csrc/napi/file_wrap.cc',
      'csrc/napi/instance.cc',
      'csrc/napi/log_socket_wrap.cc',
      'csrc/napi/opener_wrap.cc',
      'csrc/napi/regions_wrap.cc',
      'csrc/napi/uevents_wrap.cc',
      'csrc/sys/abstract_socket.cc',
      'csrc/sys/datagram.cc',
      'csrc/sys/event_fd.cc',
      'csrc/sys/execute.cc',
      'csrc/sys/holders.cc',
      'csrc/sys/reclaim.cc',
      'csrc/sys/uevents.cc',
    ],
  },
  'target_defaults': {
    'include_dirs': ['.'],  # gyp reads paths here relative to this file, but in variables relative to the root
    'cflags_cc!': ['-fno-exceptions', '-fno-rtti', '-std=gnu++17'],
    'cflags_cc': [
      '-std=c++17', '-fvisibility=hidden', '-Wall', '-Wextra', '-Wshadow', '-Wconversion',
      # relative to build/, where make runs: an absolute path may hold a blank, which make cannot take
      '-isystem', '../<!(node -p "require(\'node-addon-api\').include_dir")',
    ],
    'defines': [
      'NAPI_VERSION=8', 'NODE_ADDON_API_CPP_EXCEPTIONS', 'NODE_ADDON_API_DISABLE_DEPRECATED',
      # a worker that is being terminated cannot take an exception; that must not abort the process
      'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
    ],
    # nodelete: threads of ours may still be asleep in the kernel when the last environment that loaded us is gone
    'ldflags': ['-Wl,-z,now', '-Wl,-z,relro', '-Wl,-z,nodelete', '-Wl,--exclude-libs,ALL'],
    'conditions': [
      ['sanitize==""', {'ldflags': ['-static-libstdc++', '-static-libgcc']},
                       {'cflags_cc': ['-fsanitize=<(sanitize)', '-fno-omit-frame-pointer', '-O1', '-g'],
                        'ldflags': ['-fsanitize=<(sanitize)']}],
    ],
  },
  'targets': [{
    'target_name': 'clusterlock',
    'sources': ['<@(addon_sources)', '<@(opener_sources)', 'napi/addon.cc', 'clog/netlink_link.cc', 'sys/file_ops.cc'],
  }, {
    'target_name': 'clusterlock_opener',
    'type': 'executable',
    'sources': ['<@(opener_sources)', 'dlmfs/opener_main.cc'],
  }],
}
