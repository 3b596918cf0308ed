/** The reviewer's queue: readings of a slice beside or over each other, and what is said of them. */

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { api, data, type MaskInfo, type Project, post, type Session } from "../api/client";
import { type ClassMap, encodeClasses } from "../draw/pixels";
import { DisplayPanel } from "../instruments/display-panel";
import { HelpDialog } from "../instruments/help";
import { type Binding, useKeys, viewBindings } from "../instruments/keys";
import { Loader } from "../instruments/loader";
import { reason, SliceTitle } from "../instruments/slice-facts";
import { t } from "../texts";
import { Failure, words } from "../ui";
import { Editing } from "./editing";
import { LAYOUTS, type Layout, type Opened, Panes } from "./panes";
import { ReviewQueue } from "./queue";
import { Readings } from "./readings";
import { RejectDialog } from "./reject-dialog";
import { useSharedView } from "./shared-view";

const text = t.review;

export function ReviewPage(props: { session: Session; project: Project }) {
  const { project } = props;
  const loader = useMemo(() => new Loader(project.name), [project.name]);
  const queue = useMemo(() => new ReviewQueue(project.name, loader), [project.name, loader]);
  const turn = useRef(0);
  const [waiting, setWaiting] = useState<{ count: number; more: boolean } | null>(null);
  const [opened, setOpened] = useState<Opened | null>(null);
  const [selected, setSelected] = useState<number | null>(null);
  const [layout, setLayout] = useState<Layout>("overlay");
  const [dialog, setDialog] = useState<"reject" | "help" | null>(null);
  const [editing, setEditing] = useState<ClassMap | null>(null);
  const [error, setError] = useState<string | null>(null);
  const shared = useSharedView(loader);
  const { open } = shared;

  const show = useCallback(
    async (mine: number) => {
      const item = queue.first;
      const found = item && (await queue.open(item));
      if (mine !== turn.current) return;
      setEditing(null);
      setOpened(found ?? null);
      if (!found) return;
      open(found);
      const consensus = found.item.readings.find((one) => one.source === "consensus");
      const pending = found.item.readings.find((one) => one.review_state === "pending");
      setSelected((consensus ?? pending ?? found.item.readings[0]).id);
    },
    [queue, open],
  );

  /** The slice behind one that was judged or put off: at once if it is known, then as it stands. */
  const goOn = useCallback(
    async (after: number | null) => {
      const mine = ++turn.current;
      try {
        if (after !== null) queue.pass(after);
        const shown = queue.first?.slice;
        if (shown !== undefined) await show(mine);
        await queue.refresh(after);
        if (mine !== turn.current) return;
        // Another reviewer may have been quicker.
        if (shown === undefined || !queue.has(shown)) await show(mine);
        setWaiting({ count: queue.count, more: queue.more });
        setError(null);
      } catch (failure) {
        setError(words(failure));
      }
    },
    [queue, show],
  );

  useEffect(() => {
    void goOn(null);
  }, [goOn]);

  const send = (mask: number, verdict: "accepted" | "rejected", comment: string) =>
    data(
      api.POST("/masks/{mask_id}/review", {
        params: { path: { mask_id: mask } },
        body: { verdict, comment },
      }),
    );

  const judge = async (mask: number, verdict: "accepted" | "rejected", comment: string) => {
    try {
      await send(mask, verdict, comment);
      setDialog(null);
      await goOn(opened?.item.slice ?? null);
    } catch (failure) {
      setError(words(failure));
    }
  };

  const edit = () => setEditing((selected !== null && opened?.maps.get(selected)) || null);

  const submitEdit = async (slice: number, map: ClassMap, seconds: number) => {
    const path = `/slices/${slice}/masks?seconds=${seconds.toFixed(1)}`;
    const mask = await post<MaskInfo>(path, encodeClasses(map), "image/png");
    await send(mask.id, "accepted", "");
    await goOn(slice);
  };

  const bindings: Binding[] =
    editing || selected === null
      ? []
      : [
          {
            keys: ["a"],
            text: text.accept,
            once: true,
            run: () => void judge(selected, "accepted", ""),
          },
          { keys: ["x"], text: text.reject, run: () => setDialog("reject") },
          { keys: ["e"], text: text.edit, run: edit },
          {
            keys: ["n"],
            text: text.later,
            once: true,
            run: () => void goOn(opened?.item.slice ?? null),
          },
          {
            keys: ["v"],
            text: text.layout,
            run: () => setLayout(LAYOUTS[(LAYOUTS.indexOf(layout) + 1) % LAYOUTS.length]),
          },
          ...viewBindings(shared),
          { keys: ["?"], text: t.instruments.help, run: () => setDialog("help") },
        ];
  useKeys(bindings);

  if (!waiting)
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
          {t.instruments.checkAgain}
        </button>
      </main>
    );
  }
  const { item } = opened;
  if (editing) {
    return (
      <Editing
        key={item.slice}
        account={props.session.account}
        opened={opened}
        map={editing}
        classes={project.classes}
        shared={shared}
        onSubmit={(map, seconds) => submitEdit(item.slice, map, seconds)}
        onClose={() => setEditing(null)}
      />
    );
  }
  return (
    <main class="review">
      <div class="panes" data-slice={item.slice}>
        <Panes
          opened={opened}
          selected={selected}
          layout={layout}
          classCount={project.classes.length}
          shared={shared}
        />
      </div>
      <aside class="side" aria-label={text.title}>
        <p class="small">{text.queue(waiting.count, waiting.more)}</p>
        <SliceTitle slice={item} />
        {item.stream && <p>{reason(item.stream)}</p>}
        {error && <Failure error={error} />}
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
        <DisplayPanel
          view={shared}
          channels={opened.channels}
          pointed={shared.pointed}
          controls={shared}
        />
        <div class="actions">
          <button type="button" onClick={edit}>
            {text.edit} <kbd>E</kbd>
          </button>
          <button type="button" onClick={() => void goOn(item.slice)}>
            {text.later} <kbd>N</kbd>
          </button>
          <button type="button" onClick={() => setDialog("reject")}>
            {text.reject} <kbd>X</kbd>
          </button>
          <button type="button" class="main" onClick={() => void judge(selected, "accepted", "")}>
            {text.accept} <kbd>A</kbd>
          </button>
        </div>
      </aside>
      {dialog === "help" && <HelpDialog bindings={bindings} onClose={() => setDialog(null)} />}
      {dialog === "reject" && (
        <RejectDialog
          onReject={(comment) => void judge(selected, "rejected", comment)}
          onClose={() => setDialog(null)}
        />
      )}
    </main>
  );
}
