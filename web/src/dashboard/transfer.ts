/** What is said of an import, a check or an export, and how one is asked for. */

import type { CaseTaken, Transfer } from "../api/client";
import { t } from "../texts";

const text = t.transfers;

/** What came of a transfer, or would: the parts that its kind has. */
export interface Report {
  found?: string;
  cases?: number;
  masks?: number;
  new_slices?: number;
  known_slices?: number;
  refused?: Record<string, string>;
  left_out?: Record<string, string>;
  warnings?: Record<string, string[]>;
  /** Absent in lists, which hold the report without it. */
  taken?: CaseTaken[];
}

/** How an archive is to be taken in. */
export interface ImportForm {
  project: string;
  layout: string;
  channels: string;
  masks: string;
  plane: string;
  trustVoxels: boolean;
}

/** Which masks go out, and as what. */
export interface ExportForm {
  format: string;
  masks: string;
  reader: string;
  round: string;
  licence: string;
}

export function isActive({ state }: Transfer): boolean {
  return state === "queued" || state === "running";
}

/** The address that an archive is sent to; with `check`, nothing of it is kept. */
export function importPath(form: ImportForm, filename: string, check: boolean): string {
  const query = new URLSearchParams({ layout: form.layout, background: "true" });
  if (check) query.set("check", "true");
  if (form.masks) query.set("masks", form.masks);
  if (form.plane) query.set("plane", form.plane);
  if (form.trustVoxels) query.set("trust_voxels", "true");
  for (const channel of namesIn(form.channels)) query.append("channel", channel);
  query.set("filename", filename.slice(-255));
  return `/projects/${encodeURIComponent(form.project.trim())}/imports?${query}`;
}

/** The address by which an export is asked for. */
export function exportPath(project: string, form: ExportForm): string {
  const query = new URLSearchParams({ format: form.format });
  if (form.masks === "accepted") query.set("only", "accepted");
  if (form.masks === "all") query.set("all_readings", "true");
  if (form.reader.trim()) query.set("reader", form.reader.trim());
  if (form.round.trim()) query.set("round", form.round.trim());
  if (form.licence.trim()) query.set("licence", form.licence.trim());
  return `/projects/${encodeURIComponent(project)}/exports?${query}`;
}

/** The names in a list that commas divide. */
export function namesIn(list: string): string[] {
  return list
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

/** What came of a transfer. What an export leaves out are cases, not files. */
export function reportOf({ kind, report }: Transfer): Report | null {
  const found = report as Report | null;
  return found && kind === "export"
    ? { ...found, refused: found.left_out ?? {}, left_out: {} }
    : found;
}

/** How long the server keeps the archive of an export. */
const KEPT_MS = 24 * 60 * 60_000;

/** Whether an export can still be fetched. */
export function hasArchive(transfer: Transfer, now: number): boolean {
  const { archive, finished_at: end } = transfer;
  return archive && end !== null && now - new Date(end).getTime() < KEPT_MS;
}

/** How far a transfer is, from 0 to 1; null where nobody knows yet. */
export function shareDone({ progress }: Transfer): number | null {
  const { cases, total } = progress as { cases?: number; total?: number };
  return cases !== undefined && total ? Math.min(1, cases / total) : null;
}

/** How far a transfer is, in words. */
export function progressWords({ progress, state }: Transfer): string {
  if (state === "queued") return text.waiting;
  const { cases = 0, total, slices, case: name } = progress as Record<string, never>;
  const parts = [total ? text.casesOf(cases, total) : text.looking];
  if (slices) parts.push(text.slicesDone(slices));
  if (name) parts.push(name);
  return parts.join(" · ");
}

/** What came of a transfer, in a line. */
export function resultWords({ kind, report }: Transfer): string {
  const { cases = 0, new_slices = 0, known_slices = 0, masks = 0 } = (report ?? {}) as Report;
  if (kind === "export") return text.exported(cases, masks);
  return kind === "check" ? text.wouldCome(cases) : text.imported(cases, new_slices, known_slices);
}

/** A case's size, spacing and values, as a row of the report shows them. */
export function caseWords(one: CaseTaken): string[] {
  const { spacing, unit } = one;
  const values = `${short(one.low)} … ${short(one.high)}${unit ? ` ${unit}` : ""}`;
  return [
    one.name,
    t.dashboard.splits[one.split] ?? one.split,
    String(one.slices),
    `${one.width} × ${one.height}`,
    spacing ? [spacing.column, spacing.row, spacing.slice].map(short).join(" × ") : text.unknown,
    one.plane ? (t.instruments.planes[one.plane] ?? one.plane) : text.unknown,
    one.channels.join(", "),
    one.classes.join(", "),
    one.windows.map((name) => t.instruments.presets[name] ?? name).join(", "),
    one.missing ? String(one.missing) : "",
    values,
  ];
}

/** A number in at most five digits. */
function short(value: number): string {
  return String(Number(value.toPrecision(5))).replace("-", "−");
}

/** A number of bytes as people say it. */
export function sizeWords(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  return `${(bytes / 1000 ** step).toFixed(step ? 1 : 0)} ${units[step]}`;
}
