// Values in the blocks of dlmfs locks that tell when they were lost: docs/dlmfs-values.md.

export { type CounterCallOptions, DomainCounter, type DomainCounterOptions, type OnCountLost } from "./counter";
export {
  type Frame,
  type FrameKind,
  type FrameMark,
  type FrameReading,
  PAYLOAD_MAX as FRAME_PAYLOAD_MAX,
  decodeFrame,
  encodeFrame,
} from "./frame";
export { type AcquireOptions, FramedValue, type FramedValueOptions } from "./framed-value";
export type { ValueDomain, ValueLock } from "./locks";
export type { FramedReading, LossSign } from "./memory";
