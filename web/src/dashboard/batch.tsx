/** The current batch as pictures, and the pool as a map. */

import type { RefObject } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { all, api, bytes, data, type PoolMap, type Round, type RoundItem } from "../api/client";
import { aspectOf } from "../api/slices";
import { Composer } from "../draw/compose";
import { decodeClasses, decodeGray } from "../draw/pixels";
import { outline } from "../draw/tools";
import { PRESETS } from "../draw/window";
import { reason } from "../instruments/slice-facts";
import { t } from "../texts";
import { Dialog, Failure, figure, Panel, useLoaded, useRepeat } from "../ui";
import { ChartView, markOf, PALETTE } from "./chart";

const text = t.dashboard;
const SHOWN_AT_FIRST = 24;

async function compose(
  slice: number,
  mask: number | null,
  suggested: boolean,
): Promise<HTMLCanvasElement> {
  const [facts, image, suggestion, drawn] = await Promise.all([
    data(api.GET("/slices/{slice_id}", { params: { path: { slice_id: slice } } })),
    bytes(`/slices/${slice}/image`),
    suggested ? bytes(`/slices/${slice}/suggestion`) : null,
    // Annotators may not see others' masks: then the slice is shown without.
    mask === null ? null : bytes(`/masks/${mask}/image`).catch(() => null),
  ]);
  if (!image) throw new Error(t.instruments.noNeighbour);
  const picture = decodeGray(image);
  const { width, height } = picture;
  const map = drawn
    ? decodeClasses(drawn)
    : { width, height, classes: new Uint8Array(width * height) };
  const edge = suggestion ? outline(decodeClasses(suggestion)) : null;
  const display = {
    window: PRESETS.tissue(picture),
    maskOpacity: 0.4,
    suggestion: true,
    uncertaintyOpacity: 0,
  };
  const { canvas } = new Composer(picture, map, 64, edge, null, display);
  canvas.style.aspectRatio = `${width} / ${height * aspectOf(facts)}`;
  return canvas;
}

/** Whether an element has ever been in view, and what to hang on it. */
function useSeen<T extends Element>(): [RefObject<T>, boolean] {
  const host = useRef<T>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const watcher = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      watcher.disconnect();
      setSeen(true);
    });
    watcher.observe(host.current!);
    return () => watcher.disconnect();
  }, []);
  return [host, seen];
}

/** A slice with its overlays; loaded when it comes into view. */
export function Thumbnail(props: {
  slice: number;
  mask: number | null;
  suggested: boolean;
  label: string;
}) {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let gone = false;
    const seen = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      seen.disconnect();
      compose(props.slice, props.mask, props.suggested)
        .then((canvas) => {
          if (gone) return;
          canvas.setAttribute("role", "img");
          canvas.setAttribute("aria-label", props.label);
          host.current?.replaceChildren(canvas);
        })
        .catch(() => {});
    });
    seen.observe(host.current!);
    return () => {
      gone = true;
      seen.disconnect();
    };
  }, [props.slice, props.mask, props.suggested, props.label]);
  return <div class="thumb" ref={host} />;
}

export function GalleryPanel(props: { round: Round; version: string }) {
  const { round } = props;
  const items = useLoaded(
    () =>
      all((page) =>
        data(
          api.GET("/rounds/{round_id}/items", {
            params: {
              path: { round_id: round.id },
              query: { ...page },
            },
          }),
        ),
      ),
    props.version,
  );
  const [count, setCount] = useState(SHOWN_AT_FIRST);
  const [large, setLarge] = useState<RoundItem | null>(null);
  const found = items.value ?? [];
  return (
    <Panel title={text.gallery} wide>
      <p class="small">{text.galleryHint}</p>
      {items.error && <Failure error={items.error} retry={() => void items.reload()} />}
      <div class="gallery">
        {found.slice(0, count).map((item) => (
          <button key={item.slice} type="button" onClick={() => setLarge(item)}>
            <Thumbnail
              slice={item.slice}
              mask={item.mask}
              suggested={round.model !== null}
              label={t.instruments.slice(item.case, item.index)}
            />
            <span class="small">
              {item.rank}. {item.case} · {item.index}
              <br />
              {item.stream} {item.score !== null && figure(item.score, 2)}
              {item.mask !== null && " ✓"}
            </span>
          </button>
        ))}
      </div>
      {found.length > count && (
        <button type="button" onClick={() => setCount(found.length)}>
          + {found.length - count}
        </button>
      )}
      {large && (
        <Dialog title={t.instruments.slice(large.case, large.index)} onClose={() => setLarge(null)}>
          <div class="large">
            <Thumbnail
              slice={large.slice}
              mask={large.mask}
              suggested={round.model !== null}
              label={t.instruments.slice(large.case, large.index)}
            />
          </div>
          <p>
            {reason(large.stream)} {t.instruments.rank(large.rank)}{" "}
            {large.score !== null && t.instruments.score(figure(large.score, 2))}
          </p>
        </Dialog>
      )}
    </Panel>
  );
}

export function MapPanel(props: { round: Round; version: string }) {
  // The server draws the map when it is first asked for: only for those who look at it.
  const [host, seen] = useSeen<HTMLDivElement>();
  const map = useLoaded<PoolMap | null>(
    async () =>
      seen
        ? data(
            api.GET("/rounds/{round_id}/map", { params: { path: { round_id: props.round.id } } }),
          )
        : null,
    `${props.version}/${seen}`,
  );
  const drawing = map.value?.state === "drawing";
  useRepeat(() => {
    if (drawing) void map.reload();
  }, 1);
  const [hovered, setHovered] = useState<PoolMap["points"][number] | null>(null);
  const points = map.value?.points ?? [];
  const config = useMemo(() => {
    const found = map.value?.points ?? [];
    const labelled = found.filter((point) => point.state === "labelled");
    const batch = found.filter((point) => point.state === "batch");
    const streams = [...new Set(batch.map((point) => point.stream))].sort();
    const groups = [
      { name: text.mapStates.pool, of: found.filter((point) => point.state === "pool"), radius: 2 },
      { name: text.mapStates.labelled, of: labelled, radius: 3 },
      ...streams.map((stream) => ({
        name: `${text.mapStates.batch}: ${stream}`,
        of: batch.filter((point) => point.stream === stream),
        radius: 5,
      })),
    ].filter((group) => group.of.length > 0);
    const colours = [PALETTE[6], PALETTE[5], ...PALETTE];
    return {
      type: "scatter" as const,
      data: {
        datasets: groups.map((group, place) => ({
          label: group.name,
          data: group.of.map(({ x, y }) => ({ x, y })),
          backgroundColor: colours[place],
          borderColor: colours[place],
          pointRadius: group.radius,
          pointHoverRadius: group.radius + 3,
          pointStyle: markOf(place),
        })),
      },
      options: {
        scales: {
          x: { ticks: { display: false } },
          y: { ticks: { display: false } },
        },
        plugins: {
          legend: { labels: { usePointStyle: true } },
          tooltip: { enabled: false },
        },
        onHover: (_: unknown, hits: { datasetIndex: number; index: number }[]) => {
          if (hits.length > 0) setHovered(groups[hits[0].datasetIndex].of[hits[0].index]);
        },
      },
    };
  }, [map.value]);
  return (
    <Panel title={text.map} wide>
      <div ref={host} />
      {map.error && <Failure error={map.error} retry={() => void map.reload()} />}
      {drawing && <p role="status">{text.mapDrawing}</p>}
      {map.value?.state === "failed" && <p>{text.mapFailed(map.value.error ?? "")}</p>}
      {map.value?.state === "removed" && <p>{text.mapRemoved}</p>}
      {map.value?.state === "none" && <p>{text.noMap}</p>}
      {points.length > 0 && (
        <>
          <p class="small">{text.mapHint}</p>
          <div class="map" data-points={points.length}>
            <ChartView label={text.map} config={config} tall />
            <div aria-live="off">
              {hovered && (
                <>
                  <Thumbnail
                    slice={hovered.slice}
                    mask={null}
                    suggested={hovered.state === "batch"}
                    label={t.instruments.slice(hovered.case, hovered.index)}
                  />
                  <p class="small">
                    {t.instruments.slice(hovered.case, hovered.index)}
                    <br />
                    {text.mapStates[hovered.state]}
                    {hovered.stream && `, ${hovered.stream}`}
                    {hovered.round !== null && `, ${t.instruments.roundNumber(hovered.round)}`}
                  </p>
                </>
              )}
            </div>
          </div>
        </>
      )}
    </Panel>
  );
}
