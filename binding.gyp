{
  'includes': ['csrc/sources.gypi'],
  'conditions': [
    # -Dtest_double=1: the same addon over a double of the DLM devices, for error paths and sanitizers
    ['test_double==1', {
      'targets': [{
        'target_name': 'clusterlock_double',
        'include_dirs': ['test/native'],
        'sources': ['<@(addon_sources)', '<@(opener_sources)', 'test/native/double/addon.cc', 'test/native/double/dlm_double.cc',
                    'test/native/double/double_model.cc', 'test/native/double/log_link.cc'],
      }],
    }],
  ],
  'variables': {'test_double%': 0},
}
