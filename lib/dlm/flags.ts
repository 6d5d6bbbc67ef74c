/** The DLM_LKF_* and DLM_SBF_* values in use. Source: include/uapi/linux/dlmconstants.h, include/uapi/linux/dlm.h. */
export const LKF = { noQueue: 0x1, valBlk: 0x8 } as const;
export const SBF = { valNotValid: 0x2 } as const;
