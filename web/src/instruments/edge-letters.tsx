/** The letters at the four edges of a board: which side of the body lies there. */

import type { Orientation } from "../api/slices";
import { t } from "../texts";

const text = t.instruments;
const EDGES = ["left", "right", "top", "bottom"] as const;

export function EdgeLetters(props: { orientation: Orientation | null }) {
  const { orientation } = props;
  if (!orientation) return null;
  return (
    <>
      {EDGES.map((edge) => (
        <span
          key={edge}
          class={`edge ${edge}`}
          role="img"
          aria-label={text.edge(text.edges[edge], orientation[edge])}
        >
          {orientation[edge]}
        </span>
      ))}
    </>
  );
}
