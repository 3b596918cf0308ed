/** What a model came to on the cases that it is judged by: figures, and how they are written. */

import type { Model } from "../api/client";
import { t } from "../texts";
import { figure } from "../ui";

const text = t.figures;

/** Where figures come from, the first that there is. */
export const MEASURED_ON = ["test", "validation", "cross_validation"] as const;
export type MeasuredOn = (typeof MEASURED_ON)[number];
type Interval = [number, number] | null;

/** Means over cases; null where a figure has no value, missing in models of earlier versions. */
export interface Figures {
  dice_case?: number | null;
  dice_slice?: number | null;
  hd95_mm?: number | null;
  nsd?: number | null;
  nsd_tolerance_mm?: number | null;
  surface_cases?: number;
  hd95_missed?: number;
  lesions?: number;
  lesions_found?: number;
  lesion_sensitivity?: number | null;
  false_lesions?: number | null;
  ece?: number | null;
  slices?: number;
  cases?: number;
  /** Of one class: in how many cases its masks are. */
  labelled_cases?: number;
  classes?: Figures[];
  intervals?: Record<string, Interval>;
  by_case?: Record<string, OfCase>;
}

/** What is kept of one case, by class. */
export interface OfCase {
  dice?: (number | null)[];
  hd95_mm?: (number | null)[];
  nsd?: (number | null)[];
}

export interface Measured {
  on: MeasuredOn;
  figures: Figures;
}

/** What a model is judged by: on test cases where there are any. */
export function measured(model: { scores: Record<string, unknown> }): Measured | null {
  const on = MEASURED_ON.find((set) => model.scores[set]);
  return on ? { on, figures: model.scores[on] as Figures } : null;
}

/** The model that was made or promoted last; one that was held back only if it was promoted. */
export function currentOf(models: Model[]): Model | undefined {
  const when = (model: Model): string => model.promoted_at ?? model.created_at;
  return models
    .filter((model) => model.promoted_at || !model.held_back)
    .reduce<Model | undefined>(
      (best, model) => (!best || when(model) >= when(best) ? model : best),
      undefined,
    );
}

/** A model beside its parent, on slices that neither has learned from. */
interface Judged {
  parent: number;
  ours: number;
  theirs: number;
  slices: number;
}

/** What went otherwise than it should while a model was trained, in words. */
export function notesOf(model: Model): string[] {
  const { collapses, collapsed, guarded, judged } = model.scores;
  const notes = [];
  if (Array.isArray(collapses) && collapses.length > 0) {
    // The paper's recipe, and many of others, take what comes.
    const again = guarded ? [collapsed ? text.inVain : text.again] : [];
    notes.push([text.collapsed(collapses.length), ...again].join(" "));
  }
  const worse = judged && (judged as Judged).theirs > (judged as Judged).ours;
  if (model.held_back && model.promoted_at) notes.push(text.promotedAllTheSame);
  else if (model.held_back && worse && !collapsed) {
    const { parent, ours, theirs, slices } = judged as Judged;
    notes.push(text.keptOlder(parent, model.number, figure(theirs - ours, 2), slices));
  } else if (model.held_back) notes.push(model.held_back);
  return notes;
}

/** How a model did beside its parent, where it was judged so. */
export function besideParent(model: Model): string[] {
  if (!model.scores.judged) return [];
  const { parent, ours, theirs, slices } = model.scores.judged as Judged;
  return [text.judged(parent, slices, figure(ours), figure(theirs))];
}

/** A figure that is shown: its name and its digits. */
export interface Shown {
  key:
    | "dice_case"
    | "dice_slice"
    | "hd95_mm"
    | "nsd"
    | "lesion_sensitivity"
    | "false_lesions"
    | "ece";
  digits: number;
  /** Less of it is better. */
  low?: boolean;
}

export const SHOWN: Shown[] = [
  { key: "dice_case", digits: 3 },
  { key: "dice_slice", digits: 3 },
  { key: "hd95_mm", digits: 1, low: true },
  { key: "nsd", digits: 3 },
  { key: "lesion_sensitivity", digits: 2 },
  { key: "false_lesions", digits: 2, low: true },
  { key: "ece", digits: 3, low: true },
];

/** The figures that at least one of these has. */
export function shownOf(all: Figures[]): Shown[] {
  return SHOWN.filter(({ key }) => all.some((one) => one[key] !== undefined && one[key] !== null));
}

/** A figure as it is written: lesions as so many of so many. */
export function written(figures: Figures, { key, digits }: Shown): string {
  if (key === "lesion_sensitivity" && figures.lesions)
    return text.ofAll(figures.lesions_found ?? 0, figures.lesions);
  return figure(figures[key], digits);
}

/** Its 95 % interval, or nothing where there is none; of lesions that of their share. */
export function intervalOf(figures: Figures, { key, digits }: Shown): string {
  const found = figures.intervals?.[key];
  if (!found) return "";
  const [low, high] = found.map((value) =>
    key === "lesion_sensitivity" ? text.percent(Math.round(100 * value)) : figure(value, digits),
  );
  return text.interval(low, high);
}

/** What the newer of two figures is more or less by, and whether that is better. */
export function difference(before: Figures, after: Figures, { key, digits, low }: Shown): string {
  const [one, other] = [before[key], after[key]];
  if (typeof one !== "number" || typeof other !== "number") return figure(null);
  const written = figure(Math.abs(other - one), digits);
  if (Number(written) === 0) return text.same;
  const more = other > one;
  return text.changed(signed(other - one, digits), more !== Boolean(low));
}

/** With its sign, a minus as long as a plus. */
export function signed(value: number, digits: number): string {
  return `${value < 0 ? "−" : "+"}${figure(Math.abs(value), digits)}`;
}

/** What the reader should know about how the figures came about. */
export function caveats({ on, figures }: Measured): string[] {
  const found = [text.measuredOn[on](figures.cases ?? 0, figures.slices ?? 0)];
  const { cases, surface_cases: surfaces, hd95_missed: missed } = figures;
  if (cases && surfaces !== undefined && surfaces < cases)
    found.push(text.surfaces(surfaces, cases));
  if (missed) found.push(text.missed(missed));
  return found;
}
