/** The reviewer's queue: readings of a slice beside or over each other, and what is said of them. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { isTyping } from "../annotate/keys";
import { reason, Toolbar } from "../annotate/parts";
import {
  all,
  api,
  bytes,
  data,
  type MaskInfo,
  type Project,
  post,
  type Session,
  type ToReview,
} from "../api/client";
import { Board, type Hand, type Subject } from "../draw/board";
import type { Looks } from "../draw/compose";
import {
  type ClassMap,
  decodeClasses,
  decodeGray,
  encodeClasses,
  type GrayPicture,
} from "../draw/pixels";
import { meanDice, outline } from "../draw/tools";
import { PRESETS } from "../draw/window";
import { t } from "../texts";
import { Dialog, Failure, figure, words } from "../ui";

const text = t.review;

interface Opened {
  item: ToReview;
  picture: GrayPicture;
  maps: Map<number, ClassMap>;
}

type Layout = "overlay" | "sideBySide" | "disagreement";
const LAYOUTS: Layout[] = ["overlay", "sideBySide", "disagreement"];

async function open(item: ToReview): Promise<Opened> {
  const gone = (): never => {
    throw new Error(t.review.nothing);
  };
  const [picture, ...masks] = await Promise.all([
    bytes(item.image).then((png) => (png ? decodeGray(png) : gone())),
    ...item.readings.map(async (reading) => {
      const png = await bytes(reading.image);
      return [reading.id, png ? decodeClasses(png) : gone()] as [number, ClassMap];
    }),
  ]);
  return { item, picture, maps: new Map(masks) };
}

export function ReviewPage(props: { session: Session; project: Project }) {
  const { project } = props;
  const [queue, setQueue] = useState<ToReview[] | null>(null);
  const [opened, setOpened] = useState<Opened | null>(null);
  const [selected, setSelected] = useState<number | null>(null);
  const [layout, setLayout] = useState<Layout>("overlay");
  const [rejecting, setRejecting] = useState(false);
  const [editing, setEditing] = useState<ClassMap | null>(null);
  const [error, setError] = useState<string | null>(null);
  const started = useRef(0);

  const load = useCallback(async () => {
    try {
      const found = await all((page) =>
        data(
          api.GET("/projects/{name}/reviews", {
            params: {
              path: { name: project.name },
              query: { ...page },
            },
          }),
        ),
      );
      setQueue(found);
      setError(null);
      return found;
    } catch (failure) {
      setError(words(failure));
      return null;
    }
  }, [project.name]);

  const show = useCallback(async (item: ToReview | undefined) => {
    setEditing(null);
    if (!item) {
      setOpened(null);
      return;
    }
    try {
      const found = await open(item);
      setOpened(found);
      const consensus = item.readings.find((one) => one.source === "consensus");
      const pending = item.readings.filter((one) => one.review_state === "pending");
      setSelected((consensus ?? pending[0] ?? item.readings[0]).id);
    } catch (failure) {
      setError(words(failure));
    }
  }, []);

  useEffect(() => {
    void load().then((found) => found && show(found[0]));
  }, [load, show]);

  /** After a verdict: what is still to be reviewed, from here on. */
  const goOn = async (after: number | null) => {
    const found = await load();
    if (found) await show(found.find((one) => after === null || one.slice > after) ?? found[0]);
  };

  const judge = async (mask: number, verdict: "accepted" | "rejected", comment: string) => {
    try {
      await data(
        api.POST("/masks/{mask_id}/review", {
          params: { path: { mask_id: mask } },
          body: { verdict, comment },
        }),
      );
      setRejecting(false);
      await goOn(opened?.item.slice ?? null);
    } catch (failure) {
      setError(words(failure));
    }
  };

  const edit = () => {
    const map = selected !== null && opened?.maps.get(selected);
    if (map) {
      started.current = performance.now();
      setEditing({ ...map, classes: map.classes.slice() });
    }
  };

  const submitEdit = async () => {
    if (!editing || !opened) return;
    try {
      const seconds = ((performance.now() - started.current) / 1000).toFixed(1);
      const path = `/slices/${opened.item.slice}/masks?seconds=${seconds}`;
      const mask = await post<MaskInfo>(path, encodeClasses(editing), "image/png");
      await judge(mask.id, "accepted", "");
    } catch (failure) {
      setError(words(failure));
    }
  };

  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (isTyping(event) || editing || selected === null) return;
      if (event.ctrlKey || event.metaKey) return;
      const key = event.key.toLowerCase();
      if (key === "a") void judge(selected, "accepted", "");
      else if (key === "x") setRejecting(true);
      else if (key === "e") edit();
      else if (key === "v") setLayout(LAYOUTS[(LAYOUTS.indexOf(layout) + 1) % LAYOUTS.length]);
      else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  });

  if (!queue)
    return error ? (
      <Failure error={error} retry={() => void goOn(null)} />
    ) : (
      <p class="cover">{t.loading}</p>
    );
  if (!opened || selected === null) {
    return (
      <main class="cover">
        <h1>{text.nothing}</h1>
        {error && <Failure error={error} />}
        <button type="button" class="main" onClick={() => void goOn(null)}>
          {t.annotate.checkAgain}
        </button>
      </main>
    );
  }
  const { item } = opened;
  return (
    <main class="review">
      <div class="panes" data-slice={item.slice}>
        {editing ? (
          <EditPane opened={opened} map={editing} classCount={project.classes.length} />
        ) : (
          <Panes
            opened={opened}
            selected={selected}
            layout={layout}
            classCount={project.classes.length}
          />
        )}
      </div>
      <aside class="side" aria-label={text.title}>
        <p class="small">{text.queue(queue.length)}</p>
        <h2>{t.annotate.slice(item.case, item.index)}</h2>
        {item.stream && <p>{reason(item.stream)}</p>}
        {error && <Failure error={error} />}
        {editing ? (
          <>
            <p>{text.editing}</p>
            <div class="actions">
              <button type="button" onClick={() => setEditing(null)}>
                {t.cancel}
              </button>
              <button type="button" class="main" onClick={() => void submitEdit()}>
                {text.submitEdit}
              </button>
            </div>
          </>
        ) : (
          <>
            <fieldset>
              <legend>
                {text.layout} <kbd>V</kbd>
              </legend>
              <div class="presets">
                {LAYOUTS.map((one) => (
                  <button
                    key={one}
                    type="button"
                    aria-pressed={layout === one}
                    onClick={() => setLayout(one)}
                  >
                    {text[one]}
                  </button>
                ))}
              </div>
            </fieldset>
            <Readings opened={opened} selected={selected} onSelect={setSelected} />
            {item.comments.map((one) => (
              <p key={`${one.mask}-${one.at}`} class="small">
                {text.said(text.states[one.verdict], one.comment)}
              </p>
            ))}
            <div class="actions">
              <button type="button" onClick={edit}>
                {text.edit} <kbd>E</kbd>
              </button>
              <button type="button" onClick={() => setRejecting(true)}>
                {text.reject} <kbd>X</kbd>
              </button>
              <button
                type="button"
                class="main"
                onClick={() => void judge(selected, "accepted", "")}
              >
                {text.accept} <kbd>A</kbd>
              </button>
            </div>
          </>
        )}
      </aside>
      {rejecting && (
        <RejectDialog
          onReject={(comment) => void judge(selected, "rejected", comment)}
          onClose={() => setRejecting(false)}
        />
      )}
    </main>
  );
}

function Readings(props: { opened: Opened; selected: number; onSelect: (mask: number) => void }) {
  const { item, maps } = props.opened;
  const chosen = maps.get(props.selected)!;
  return (
    <ul aria-label={text.readings}>
      {item.readings.map((reading) => (
        <li key={reading.id}>
          <label>
            <input
              type="radio"
              name="reading"
              checked={reading.id === props.selected}
              onChange={() => props.onSelect(reading.id)}
            />
            {reading.source === "consensus"
              ? text.consensus
              : text.reading(reading.author, reading.revision)}
          </label>
          <span class="small">
            {text.states[reading.review_state]}
            {reading.late && ` · ${text.late}`}
            {reading.seconds !== null && ` · ${text.seconds(reading.seconds)}`}
            {reading.id !== props.selected &&
              ` · ${text.dice(figure(meanDice(chosen.classes, maps.get(reading.id)!.classes)))}`}
          </span>
        </li>
      ))}
    </ul>
  );
}

const LOOKS: Omit<Looks, "window"> = { maskOpacity: 0.4, suggestion: true, uncertaintyOpacity: 0 };
const NO_HAND: Hand = { tool: "brush", value: 1, size: 5, tolerance: 0.1 };
const NO_LISTENER = {
  drawn: () => {},
  active: () => {},
  windowed: () => {},
  scrolled: () => {},
  sized: () => {},
};

function Panes(props: { opened: Opened; selected: number; layout: Layout; classCount: number }) {
  const { opened, selected, layout, classCount } = props;
  const { item, picture, maps } = opened;
  const name = (reading: MaskInfo): string =>
    reading.source === "consensus" ? text.consensus : reading.author;
  const base = { picture, suggestion: null, classCount, locked: true };
  if (layout === "sideBySide") {
    return (
      <>
        {item.readings.map((reading) => (
          <Pane
            key={reading.id}
            caption={name(reading)}
            subject={{
              ...base,
              mask: maps.get(reading.id)!,
              suggestionOutline: null,
              uncertainty: null,
            }}
            looks={LOOKS}
          />
        ))}
      </>
    );
  }
  const others = item.readings.filter(({ id }) => id !== selected).map(({ id }) => maps.get(id)!);
  if (layout === "disagreement") {
    const everybody = item.readings.map(({ id }) => maps.get(id)!.classes);
    const heat = disagreement(everybody);
    const differing = heat.reduce((count, value) => count + (value > 0 ? 1 : 0), 0);
    return (
      <Pane
        caption={text.disagreementPixels(differing)}
        subject={{
          ...base,
          mask: maps.get(selected)!,
          suggestionOutline: null,
          uncertainty: heat,
        }}
        looks={{ maskOpacity: 0, suggestion: false, uncertaintyOpacity: 0.9 }}
      />
    );
  }
  return (
    <Pane
      caption={name(item.readings.find(({ id }) => id === selected)!)}
      subject={{
        ...base,
        mask: maps.get(selected)!,
        suggestionOutline: joined(others),
        uncertainty: null,
      }}
      looks={LOOKS}
    />
  );
}

/** Where readings differ: 255 times the share of readings that are not of the commonest class. */
function disagreement(readings: Uint8Array[]): Uint8Array {
  return Uint8Array.from(readings[0], (_, index) => {
    const counts = new Map<number, number>();
    for (const reading of readings) {
      counts.set(reading[index], (counts.get(reading[index]) ?? 0) + 1);
    }
    const most = Math.max(...counts.values());
    return Math.round((255 * (readings.length - most)) / Math.max(readings.length - 1, 1));
  });
}

/** The outlines of several maps in one. */
function joined(maps: ClassMap[]): Uint8Array | null {
  if (maps.length === 0) return null;
  const edge = outline(maps[0]);
  for (const map of maps.slice(1)) {
    outline(map).forEach((value, index) => {
      if (value > 0) edge[index] = value;
    });
  }
  return edge;
}

function Pane(props: { caption: string; subject: Subject; looks: Omit<Looks, "window"> }) {
  const host = useRef<HTMLDivElement>(null);
  const board = useRef<Board | null>(null);
  const window = PRESETS.tissue(props.subject.picture);
  useEffect(() => {
    const made = new Board(host.current!, { ...props.looks, window }, NO_HAND, NO_LISTENER);
    board.current = made;
    return () => made.remove();
  }, []);
  useEffect(() => {
    board.current?.setLooks({ ...props.looks, window });
    board.current?.show(props.subject);
  });
  return (
    <figure class="pane">
      <figcaption>{props.caption}</figcaption>
      <div class="board" ref={host} role="img" aria-label={props.caption} />
    </figure>
  );
}

function EditPane(props: { opened: Opened; map: ClassMap; classCount: number }) {
  const host = useRef<HTMLDivElement>(null);
  const board = useRef<Board | null>(null);
  const [hand, setHand] = useState<Hand>({ ...NO_HAND, size: 7 });
  const [steps, setSteps] = useState(0);
  const { picture } = props.opened;
  useEffect(() => {
    const looks = { ...LOOKS, window: PRESETS.tissue(picture) };
    const made = new Board(host.current!, looks, hand, {
      ...NO_LISTENER,
      drawn: () => setSteps((n) => n + 1),
      sized: (size) => change({ size }),
    });
    made.show({
      picture,
      mask: props.map,
      suggestion: null,
      suggestionOutline: null,
      uncertainty: null,
      classCount: props.classCount,
    });
    board.current = made;
    return () => made.remove();
  }, []);
  const change = (part: Partial<Hand>) =>
    setHand((old) => {
      const next = { ...old, ...part };
      board.current?.setHand(next);
      return next;
    });
  return (
    <div class="pane edit">
      <Toolbar
        hand={hand}
        onHand={change}
        disabled={false}
        canUndo={board.current?.canUndo ?? false}
        canRedo={board.current?.canRedo ?? false}
        hasSuggestion={false}
        onUndo={() => board.current?.undo()}
        onRedo={() => board.current?.redo()}
        onClear={() => board.current?.replaceWith(new Uint8Array(props.map.classes.length))}
        steps={steps}
      />
      <div class="stage">
        <div class="board" ref={host} role="img" aria-label={t.annotate.canvas} />
      </div>
    </div>
  );
}

function RejectDialog(props: { onReject: (comment: string) => void; onClose: () => void }) {
  const [comment, setComment] = useState("");
  return (
    <Dialog title={text.reject} onClose={props.onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (comment.trim()) props.onReject(comment.trim());
        }}
      >
        <label>
          {text.comment}
          <textarea
            rows={3}
            maxLength={10_000}
            required
            value={comment}
            onInput={(event) => setComment(event.currentTarget.value)}
          />
        </label>
        <p class="small">{text.commentNeeded}</p>
        <button type="submit" class="main" disabled={!comment.trim()}>
          {text.rejectSubmit}
        </button>
      </form>
    </Dialog>
  );
}
