/** A reviewer's own version of a reading, drawn over it. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Board, type Can } from "../draw/board";
import { blankMap, type ClassMap } from "../draw/pixels";
import { adjusted, type ToolSettings } from "../draw/tool-settings";
import { ActiveClock } from "../instruments/clock";
import { DisplayPanel } from "../instruments/display-panel";
import { DraftStore } from "../instruments/drafts";
import { EdgeLetters } from "../instruments/edge-letters";
import { stepBindings, toolBindings, useKeys, viewBindings } from "../instruments/keys";
import { SliceTitle } from "../instruments/slice-facts";
import { ToolPanel } from "../instruments/tool-panel";
import { Toolbar } from "../instruments/toolbar";
import { t } from "../texts";
import { Failure, words } from "../ui";
import { type Opened, OVERLAYS } from "./panes";
import type { SharedView } from "./shared-view";

const text = t.review;
const FIRST_TOOL: ToolSettings = { kind: "brush", value: 1, size: 7, tolerance: 0.1 };

export function Editing(props: {
  account: string;
  opened: Opened;
  /** The reading that the edit begins with. */
  map: ClassMap;
  classes: string[];
  shared: SharedView;
  /** Resolves when the mask is stored; throws an `Error` when it is not. */
  onSubmit: (map: ClassMap, seconds: number) => Promise<void>;
  onClose: () => void;
}) {
  const { account, opened, classes, shared } = props;
  const { slice } = opened.item;
  const host = useRef<HTMLDivElement>(null);
  const board = useRef<Board | null>(null);
  const drawn = useRef<ClassMap>(props.map);
  const clock = useMemo(() => new ActiveClock(), []);
  const drafts = useMemo(() => new DraftStore(account), [account]);
  const [tool, setTool] = useState<ToolSettings>(FIRST_TOOL);
  const [can, setCan] = useState<Can>({ undo: false, redo: false });
  const [error, setError] = useState<string | null>(null);

  const begin = (map: ClassMap) => {
    drawn.current = blankMap(map, map.classes.slice());
    board.current?.show({
      picture: shared.picture!,
      aspect: opened.aspect,
      mask: drawn.current,
      suggestion: null,
      suggestionOutline: null,
      uncertainty: null,
      classCount: classes.length,
    });
  };
  const saveDraft = () =>
    drafts
      .save({
        ...blankMap(drawn.current, drawn.current.classes.slice()),
        slice,
        seconds: clock.seconds,
        savedAt: Date.now(),
      })
      .catch((failure) => setError(words(failure)));

  useEffect(() => {
    const made = new Board(host.current!, { ...OVERLAYS, window: shared.window }, tool, {
      drawn: () => void saveDraft(),
      can: setCan,
      active: () => clock.tick(performance.now()),
      windowed: (window) => shared.setWindow(window),
      scrolled: (by) => shared.look(by),
      sized: (size) => change({ size }),
      pointed: (pixel) => shared.pointed.set(pixel),
    });
    board.current = made;
    shared.boards.add(made);
    begin(props.map);
    void drafts.find(slice).then((draft) => {
      if (draft?.width !== props.map.width || draft.height !== props.map.height) return;
      clock.seconds = draft.seconds;
      begin(draft);
    });
    return () => {
      shared.boards.remove(made);
      made.remove();
    };
  }, []);
  const { picture, window, other, offset } = shared;
  useEffect(() => {
    if (picture) board.current?.setPicture(picture);
  }, [picture]);
  useEffect(() => board.current?.setDisplay({ ...OVERLAYS, window }), [window]);
  useEffect(() => board.current?.lookAt(other), [other]);
  useEffect(() => board.current?.setTool(tool), [tool]);

  const change = (part: Partial<ToolSettings>) => setTool((old) => ({ ...old, ...part }));
  const drawing = {
    undo: () => board.current?.undo(),
    redo: () => board.current?.redo(),
    clear: () => board.current?.replaceWith(new Uint8Array(drawn.current.classes.length)),
    escape: () => board.current?.escape(),
  };
  const close = () => void drafts.drop(slice).then(props.onClose);
  const submit = async () => {
    try {
      clock.tick(performance.now());
      await props.onSubmit(drawn.current, clock.seconds);
      await drafts.drop(slice);
    } catch (failure) {
      setError(words(failure));
    }
  };
  const finish = () => {
    if (board.current?.isOutlining) board.current.closePolygon();
    else void submit();
  };
  useKeys(
    [
      ...toolBindings(classes, change, (direction) =>
        setTool((old) => ({ ...old, ...adjusted(old, direction) })),
      ),
      ...stepBindings(drawing),
      ...viewBindings(shared),
      { keys: ["enter"], text: text.submitEdit, once: true, run: finish },
    ],
    {
      used: () => clock.tick(performance.now()),
      space: (held) => board.current?.holdSpace(held),
    },
  );

  return (
    <main class="review">
      <div class="panes" data-slice={slice}>
        <div class="pane edit">
          <Toolbar tool={tool} onTool={change} disabled={false} can={can} drawing={drawing} />
          <div class="stage">
            <div
              class="board"
              ref={host}
              role="img"
              aria-label={t.instruments.canvas}
              data-offset={offset}
              data-channel={shared.channel?.name}
            />
            <EdgeLetters orientation={opened.orientation} />
            {offset !== 0 && (
              <div class="notices">
                <p>{t.instruments.neighbour(offset)}</p>
              </div>
            )}
          </div>
        </div>
      </div>
      <aside class="side" aria-label={text.title}>
        <SliceTitle slice={opened.item} />
        <p>{text.editing}</p>
        {error && <Failure error={error} />}
        <ToolPanel classes={classes} tool={tool} onTool={change} />
        <DisplayPanel
          view={shared}
          channels={opened.channels}
          pointed={shared.pointed}
          controls={shared}
        />
        <div class="actions">
          <button type="button" onClick={close}>
            {t.cancel}
          </button>
          <button type="button" class="main" onClick={() => void submit()}>
            {text.submitEdit} <kbd>Enter</kbd>
          </button>
        </div>
      </aside>
    </main>
  );
}
