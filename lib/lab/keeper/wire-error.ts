// Errors on their way from the keeper to a caller.

import { LabError, LabOptionError, messageOf } from "../errors";
import type { WireError } from "./messages";

export function toWire(error: unknown): WireError {
  if (error instanceof LabError) return { kind: "lab", message: error.message };
  if (error instanceof LabOptionError) return { kind: "option", message: error.message };
  const text = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
  return { kind: "internal", message: text };
}

export function fromWire({ kind, message }: WireError): Error {
  if (kind === "option") return new LabOptionError(message);
  return new LabError(kind === "lab" ? message : `this is a defect of the lab: ${message}`);
}
