/** Which slice it is, how it is cut, and what asked for it. */

import type { Described } from "../api/slices";
import { t } from "../texts";

const text = t.instruments;

/** What asked for the slice, in words. */
export function reason(stream: string): string {
  return text.streams[stream] ?? text.streamOther(stream);
}

export function SliceTitle(props: { slice: Described & { case: string; index: number } }) {
  const { case: name, index, plane } = props.slice;
  return (
    <>
      <h2>{text.slice(name, index)}</h2>
      {plane && <p class="small">{text.planes[plane] ?? plane}</p>}
    </>
  );
}
