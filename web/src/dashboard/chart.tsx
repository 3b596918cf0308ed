/** Charts, and the same figures as a table for those who cannot see them. */

import { Chart, type ChartConfiguration, type Plugin, registerables } from "chart.js";
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

/** Draws a line from the lower to the upper end of each point's `interval`, where it has one. */
export const WHISKERS: Plugin<"line"> = {
  id: "whiskers",
  beforeDatasetsDraw(chart) {
    const { ctx, scales } = chart;
    chart.data.datasets.forEach((dataset, place) => {
      if (!chart.isDatasetVisible(place)) return;
      ctx.save();
      ctx.strokeStyle = dataset.borderColor as string;
      ctx.globalAlpha = 0.5;
      ctx.lineWidth = 2;
      for (const point of dataset.data as unknown as WithInterval[]) {
        if (!point?.interval) continue;
        const [low, high] = point.interval.map((value) => scales.y.getPixelForValue(value));
        const x = scales.x.getPixelForValue(point.x);
        ctx.beginPath();
        ctx.moveTo(x, low);
        ctx.lineTo(x, high);
        for (const end of [low, high]) {
          ctx.moveTo(x - 4, end);
          ctx.lineTo(x + 4, end);
        }
        ctx.stroke();
      }
      ctx.restore();
    });
  },
};

/** A point of a line; `interval` is in the y axis's unit. */
interface WithInterval {
  x: number;
  interval?: [number, number] | null;
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
