/** DLM_LKF_*: what a request asks for. Source: include/uapi/linux/dlmconstants.h. */
export const LKF = {
  noQueue: 0x1,
  valBlk: 0x8,
  queCvt: 0x10,
  ivValBlk: 0x20,
  convDeadlk: 0x40,
  persistent: 0x80,
  noDlckWt: 0x100,
  noDlckBlk: 0x200,
  expedite: 0x400,
  noQueueBast: 0x800,
  headQue: 0x1000,
  noOrder: 0x2000,
  altPr: 0x8000,
  altCw: 0x10000,
  forceUnlock: 0x20000,
} as const;

/** DLM_SBF_*: what the kernel says of an outcome. Source: include/uapi/linux/dlm.h. */
export const SBF = { demoted: 0x1, valNotValid: 0x2, altMode: 0x4 } as const;
