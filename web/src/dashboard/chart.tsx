/** Charts, and the same figures as a table for those who cannot see them. */

import { Chart, type ChartConfiguration, registerables } from "chart.js";
import { useEffect, useRef } from "preact/hooks";

Chart.register(...registerables);

/** Okabe and Ito's palette; blue first, for it reads on light and dark. */
export const PALETTE = [
  "#0072b2",
  "#e69f00",
  "#009e73",
  "#d55e00",
  "#cc79a7",
  "#56b4e9",
  "#999999",
];
const MARKS = ["circle", "rect", "triangle", "rectRot", "cross"] as const;

/** The mark of the n-th series, so that colour is not all that tells them apart. */
export function markOf(place: number): (typeof MARKS)[number] {
  return MARKS[place % MARKS.length];
}

export function ChartView(props: { label: string; config: ChartConfiguration; tall?: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const chart = useRef<Chart | null>(null);
  const { config } = props;
  useEffect(() => {
    const colour = getComputedStyle(document.body).color;
    Chart.defaults.color = colour;
    Chart.defaults.borderColor = "rgba(128, 128, 128, 0.25)";
    chart.current = new Chart(canvas.current!, {
      ...config,
      options: { animation: false, maintainAspectRatio: false, ...config.options },
    });
    return () => chart.current?.destroy();
  }, [config]);
  return (
    <div class={props.tall ? "chart tall" : "chart"}>
      <canvas ref={canvas} role="img" aria-label={props.label} />
    </div>
  );
}
