/** The learning curve: Dice over labels, with intervals, and models that were held back hollow. */

import { useMemo } from "preact/hooks";
import type { Progress } from "../api/client";
import { t } from "../texts";
import { figure, Panel } from "../ui";
import { ChartView, markOf, PALETTE, WHISKERS } from "./chart";
import { type Figures, MEASURED_ON } from "./figures";

const text = t.dashboard;

type CurvePoint = Progress["learning_curve"][number];

/** What one model came to on one set of cases, where it was measured on it. */
function figuresOn(point: CurvePoint, on: string): Figures | undefined {
  return point.dice[on] as Figures | undefined;
}

/** The lines of the chart: both forms of Dice on each set of cases. */
function lines(points: CurvePoint[]) {
  const series = MEASURED_ON.flatMap((on) =>
    (["dice_case", "dice_slice"] as const).map((kind) => ({ on, kind })),
  );
  return series
    .map(({ on, kind }) => ({ on, kind, measured: points.filter((one) => figuresOn(one, on)) }))
    .filter(({ measured }) => measured.length > 0)
    .map(({ on, kind, measured }, place) => ({
      label: `${kind === "dice_case" ? text.perCase : text.perSlice}, ${text.on[on]}`,
      data: measured.map((point) => ({
        x: point.labelled!,
        y: figuresOn(point, on)![kind] ?? null,
        // Whiskers of every line would hide each other.
        interval: kind === "dice_case" ? figuresOn(point, on)!.intervals?.[kind] : undefined,
      })),
      borderColor: PALETTE[place % PALETTE.length],
      backgroundColor: PALETTE[place % PALETTE.length],
      pointBackgroundColor: measured.map((point) =>
        point.held_back ? "transparent" : PALETTE[place % PALETTE.length],
      ),
      pointStyle: markOf(place),
      pointRadius: 5,
      pointBorderWidth: 2,
      borderDash: kind === "dice_slice" ? [5, 4] : [],
    }));
}

export function CurvePanel(props: { progress: Progress }) {
  const { learning_curve: curve, stopping } = props.progress;
  const points = curve.filter((point) => point.labelled !== null);
  const key = JSON.stringify(points.map((point) => [point.labelled, point.dice, point.held_back]));
  const config = useMemo(
    () => ({
      type: "line" as const,
      data: { datasets: lines(points) },
      plugins: [WHISKERS],
      options: {
        scales: {
          x: { type: "linear" as const, title: { display: true, text: text.curveX } },
          y: { min: 0, max: 1, title: { display: true, text: text.curveY } },
        },
        plugins: { legend: { labels: { usePointStyle: true } } },
      },
    }),
    [key],
  );
  const area = props.progress.area_under_budget_curve.dice_case;
  return (
    <Panel title={text.curve} wide>
      {points.length === 0 ? (
        <p>{text.noModel}</p>
      ) : (
        <>
          <ChartView label={text.curve} config={config} />
          <p class="hidden" data-points={points.length}>
            {points.map((point) => `${point.labelled}: ${inWords(point)}`).join("; ")}
          </p>
          <p class="small">
            {[
              area !== null && area !== undefined && text.area(figure(area)),
              points.some((one) => MEASURED_ON.some((on) => figuresOn(one, on)?.intervals)) &&
                text.whiskers,
              points.some((one) => one.held_back) && text.hollow,
            ]
              .filter(Boolean)
              .join(" ")}
          </p>
        </>
      )}
      {points.length > 0 && (
        <p>
          <strong>{stopping.stop ? text.stop : text.goOn}</strong> {stopping.reason}
        </p>
      )}
    </Panel>
  );
}

/** A point for those who cannot see the chart. */
function inWords(point: CurvePoint): string {
  const dice = MEASURED_ON.flatMap((on) => {
    const found = figuresOn(point, on);
    if (!found) return [];
    return `${text.on[on]} ${figure(found.dice_case)} ${text.perCase}, ${figure(found.dice_slice)} ${text.perSlice}`;
  });
  return [...dice, ...(point.held_back ? [point.held_back] : [])].join(", ");
}
