/** A reviewer's own version of a reading, drawn over it. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ActiveClock } from "../annotate/clock";
import { Keep } from "../annotate/keep";
import { handBindings, stepBindings, useKeys, viewBindings } from "../annotate/keys";
import { HandPanel, Toolbar } from "../annotate/parts";
import { Board, type Can } from "../draw/board";
import { adjusted, type Hand } from "../draw/hand";
import { blankMap, type ClassMap } from "../draw/pixels";
import { t } from "../texts";
import { Failure, words } from "../ui";
import { LOOKS, type Opened } from "./panes";
import type { Sight } from "./sight";

const text = t.review;

export function Editing(props: {
  account: string;
  opened: Opened;
  /** The reading that the edit begins with. */
  map: ClassMap;
  classes: string[];
  sight: Sight;
  /** Resolves when the mask is stored; throws an `Error` when it is not. */
  onSubmit: (map: ClassMap, seconds: number) => Promise<void>;
  onClose: () => void;
}) {
  const { account, opened, classes, sight } = props;
  const { slice, case: name, index } = opened.item;
  const host = useRef<HTMLDivElement>(null);
  const board = useRef<Board | null>(null);
  const drawn = useRef<ClassMap>(props.map);
  const clock = useMemo(() => new ActiveClock(), []);
  const keep = useMemo(() => new Keep(account), [account]);
  const latest = useRef(sight);
  latest.current = sight;
  const [hand, setHand] = useState<Hand>({ tool: "brush", value: 1, size: 7, tolerance: 0.1 });
  const [can, setCan] = useState<Can>({ undo: false, redo: false });
  const [error, setError] = useState<string | null>(null);

  const begin = (map: ClassMap) => {
    drawn.current = blankMap(map, map.classes.slice());
    board.current?.show({
      picture: opened.picture,
      mask: drawn.current,
      suggestion: null,
      suggestionOutline: null,
      uncertainty: null,
      classCount: classes.length,
    });
  };
  const saveDraft = () =>
    keep
      .saveDraft({
        ...blankMap(drawn.current, drawn.current.classes.slice()),
        slice,
        seconds: clock.seconds,
        savedAt: Date.now(),
      })
      .catch((failure) => setError(words(failure)));

  useEffect(() => {
    const made = new Board(host.current!, { ...LOOKS, window: sight.window }, hand, {
      drawn: () => void saveDraft(),
      can: setCan,
      active: () => clock.tick(performance.now()),
      windowed: (window) => latest.current.setWindow(window),
      scrolled: (by) => latest.current.look(by),
      sized: (size) => change({ size }),
    });
    board.current = made;
    sight.boards.add(made);
    begin(props.map);
    void keep.findDraft(slice).then((draft) => {
      const { picture } = opened;
      if (draft?.width !== picture.width || draft.height !== picture.height) return;
      clock.seconds = draft.seconds;
      begin(draft);
    });
    return () => {
      sight.boards.remove(made);
      made.remove();
    };
  }, []);
  useEffect(() => board.current?.setLooks({ ...LOOKS, window: sight.window }), [sight.window]);
  useEffect(() => board.current?.lookAt(sight.other), [sight.other]);
  useEffect(() => board.current?.setHand(hand), [hand]);

  const change = (part: Partial<Hand>) => setHand((old) => ({ ...old, ...part }));
  const drawing = {
    undo: () => board.current?.undo(),
    redo: () => board.current?.redo(),
    clear: () => board.current?.replaceWith(new Uint8Array(drawn.current.classes.length)),
    escape: () => board.current?.escape(),
  };
  const close = () => void keep.dropDraft(slice).then(props.onClose);
  const submit = async () => {
    try {
      clock.tick(performance.now());
      await props.onSubmit(drawn.current, clock.seconds);
      await keep.dropDraft(slice);
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
      ...handBindings(classes, change, (direction) =>
        setHand((old) => ({ ...old, ...adjusted(old, direction) })),
      ),
      ...stepBindings(drawing),
      ...viewBindings(sight),
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
          <Toolbar hand={hand} onHand={change} disabled={false} can={can} drawing={drawing} />
          <div class="stage">
            <div
              class="board"
              ref={host}
              role="img"
              aria-label={t.annotate.canvas}
              data-offset={sight.offset}
            />
            {sight.offset !== 0 && (
              <div class="notices">
                <p>{t.annotate.neighbour(sight.offset)}</p>
              </div>
            )}
          </div>
        </div>
      </div>
      <aside class="side" aria-label={text.title}>
        <h2>{t.annotate.slice(name, index)}</h2>
        <p>{text.editing}</p>
        {error && <Failure error={error} />}
        <HandPanel classes={classes} hand={hand} onHand={change} />
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
