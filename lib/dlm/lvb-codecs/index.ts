export { type LvbCodec, type LvbReading, type LvbSource, decodeLvb } from "./codec";
export { LVB_COUNTER_MAX, type LvbCounter, lvbCounter } from "./counter";
export type { LvbFields, LvbStructOptions } from "./layout";
export type { LvbNumber, LvbNumberType } from "./numbers";
export { type LvbStruct, type LvbStructValue, lvbRawStruct, lvbStruct } from "./struct";
export { LVB_TEXT_MAX, lvbJson, lvbString } from "./text";
