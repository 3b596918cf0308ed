/** The annotator's page: it holds the state, `Board` draws, `Queue` and `Outbox` talk. */

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import {
  api,
  type Batch,
  csrfHeaders,
  data,
  type Item,
  type Project,
  type Session,
} from "../api/client";
import { Board, type Hand } from "../draw/board";
import type { Looks } from "../draw/compose";
import { type ClassMap, decodeClasses, encodeClasses } from "../draw/pixels";
import { PRESETS, type Window } from "../draw/window";
import { t } from "../texts";
import { Failure, words } from "../ui";
import { ActiveClock } from "./clock";
import { Keep } from "./keep";
import { bindingsOf, useKeys } from "./keys";
import { Loader, type Ready } from "./load";
import { Outbox, type OutboxState } from "./outbox";
import { HelpDialog, Notices, SidePanel, SkipDialog, Toolbar } from "./parts";
import { Queue, settleReleases } from "./queue";
import { Tabs } from "./tabs";

const RENEW_SECONDS = 120;
/** Somebody who did nothing for so long has gone; the slice may go to others. */
const IDLE_MS = 10 * 60_000;

/** The slice that is drawn on. */
export interface Current {
  ready: Ready;
  mask: ClassMap;
  clock: ActiveClock;
  /** Set when it was submitted before and is drawn again. */
  revised: boolean;
}

export function AnnotatePage(props: { session: Session; project: Project }) {
  const { session, project } = props;
  const { account } = session;
  const keep = useMemo(() => new Keep(account), [account]);
  const loader = useMemo(() => new Loader(project.name), [project.name]);
  const queue = useMemo(() => new Queue(project.name, loader), [project.name, loader]);

  const host = useRef<HTMLDivElement>(null);
  const board = useRef<Board | null>(null);
  const current = useRef<Current | null>(null);
  const lastSubmitted = useRef<{ ready: Ready; mask: ClassMap; seconds: number } | null>(null);
  const lastActive = useRef(Date.now());
  const neighbour = useRef(0);
  const submitting = useRef(false);
  /** Steps to neighbours that were asked for; only the last one's picture is shown. */
  const lookTurn = useRef(0);

  const [shown, setShown] = useState<Current | null>(null);
  const [batch, setBatch] = useState<Batch | null>(null);
  const [hand, setHand] = useState<Hand>({ tool: "brush", value: 1, size: 9, tolerance: 0.1 });
  const [looks, setLooks] = useState<Looks>({
    window: { level: 128, width: 256 },
    maskOpacity: 0.4,
    suggestion: true,
    uncertaintyOpacity: 0,
  });
  const [preset, setPreset] = useState("tissue");
  const [offset, setOffset] = useState(0);
  const [steps, setSteps] = useState(0);
  const [notice, setNotice] = useState<string | null>(null);
  const [restoredAt, setRestoredAt] = useState<number | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [refusals, setRefusals] = useState<string[]>([]);
  const [leaseLost, setLeaseLost] = useState(false);
  const [outboxState, setOutboxState] = useState<OutboxState>({ waiting: 0, reachable: true });
  const [passive, setPassive] = useState(false);
  const [dialog, setDialog] = useState<"help" | "skip" | null>(null);

  const looksNow = useRef(looks);
  looksNow.current = looks;
  const handNow = useRef(hand);
  handNow.current = hand;
  const presetNow = useRef(preset);
  presetNow.current = preset;
  const caseNow = useRef<string | null>(null);

  // The board

  const changeLooks = useCallback((change: Partial<Looks>) => {
    const next = { ...looksNow.current, ...change };
    looksNow.current = next;
    setLooks(next);
    board.current?.setLooks(next);
  }, []);

  const changeHand = useCallback((change: Partial<Hand>) => {
    const next = { ...handNow.current, ...change };
    handNow.current = next;
    setHand(next);
    board.current?.setHand(next);
  }, []);

  const saveDraft = useCallback(async () => {
    const now = current.current;
    if (!now) return;
    await keep.saveDraft({
      slice: now.ready.item.slice,
      width: now.mask.width,
      height: now.mask.height,
      classes: now.mask.classes.slice(),
      seconds: now.clock.seconds,
      savedAt: Date.now(),
    });
  }, [keep]);

  useEffect(() => {
    const made = new Board(host.current!, looksNow.current, handNow.current, {
      drawn: () => {
        setSteps((n) => n + 1);
        saveDraft().catch((failure) => setError(words(failure)));
      },
      active: () => {
        lastActive.current = Date.now();
        current.current?.clock.tick(performance.now());
      },
      windowed: (window: Window) => {
        looksNow.current = { ...looksNow.current, window };
        setLooks(looksNow.current);
        setPreset("");
      },
      scrolled: (by) => lookAt(neighbour.current + by),
      sized: (size) => changeHand({ size: Math.min(size, 200) }),
    });
    board.current = made;
    return () => {
      made.remove();
      board.current = null;
    };
  }, []);

  /** Show a slice to be drawn on: with its draft, or what came back from a reviewer, or blank. */
  const show = useCallback(
    async (ready: Ready, again?: { mask: ClassMap; seconds: number }) => {
      const { item, picture } = ready;
      const draft = again ? undefined : await keep.findDraft(item.slice);
      const fits = draft?.width === picture.width && draft?.height === picture.height;
      const before = item.returned && !fits ? await loader.ownMask(item.slice) : null;
      const mask: ClassMap = again?.mask ?? {
        width: picture.width,
        height: picture.height,
        classes:
          (fits && draft?.classes.slice()) ||
          before?.classes ||
          new Uint8Array(picture.width * picture.height),
      };
      const clock = new ActiveClock(again?.seconds ?? (fits ? draft?.seconds : 0));
      const now: Current = { ready, mask, clock, revised: Boolean(again) };
      current.current = now;
      neighbour.current = 0;
      // A window that was set by hand holds for the case: others have other intensities.
      if (presetNow.current !== "" || caseNow.current !== item.case) {
        const name = presetNow.current || "tissue";
        looksNow.current = { ...looksNow.current, window: PRESETS[name](picture) };
        setLooks(looksNow.current);
        setPreset(name);
      }
      caseNow.current = item.case;
      board.current?.setLooks(looksNow.current);
      board.current?.show({
        picture,
        mask,
        suggestion: ready.suggestion,
        suggestionOutline: ready.suggestionOutline,
        uncertainty: ready.uncertainty,
        classCount: project.classes.length,
      });
      setOffset(0);
      setSteps(0);
      setLeaseLost(false);
      setError(null);
      setRestoredAt(fits ? draft!.savedAt : null);
      setShown(now);
    },
    [keep, loader, project.classes.length],
  );

  // The queue

  const outbox = useRef<Outbox | null>(null);

  /** Ask the server what is next; show the first slice if none is shown. */
  const refill = useCallback(async () => {
    try {
      const unsent = (await outbox.current?.pending()) ?? new Set<number>();
      const found = await queue.refill(unsent);
      setBatch(found);
      const held = current.current && queue.find(current.current.ready.item.slice);
      if (current.current && held) {
        current.current.ready.item = held;
        setShown({ ...current.current });
      }
      if (!current.current) await showNext();
      setError(null);
    } catch (failure) {
      setError(t.annotate.failed(words(failure)));
    }
  }, [queue]);

  const showNext = useCallback(async () => {
    const done = current.current?.ready.item.slice ?? null;
    const next: Item | null = queue.next(done);
    if (!next) {
      current.current = null;
      setShown(null);
      return;
    }
    await show(await loader.item(next));
  }, [loader, queue, show]);

  useEffect(() => {
    const box = new Outbox(
      keep,
      setOutboxState,
      () => void refill(),
      (parcel, why) => {
        // What was drawn comes back as a draft: it can be mended, or at least looked at.
        const map = decodeClasses(parcel.png);
        void keep.saveDraft({
          ...map,
          slice: parcel.slice,
          seconds: parcel.seconds,
          savedAt: parcel.at,
        });
        setRefusals((old) => [...old, t.annotate.refused(parcel.label, why.message)]);
      },
    );
    outbox.current = box;
    box.hurry();
    void settleReleases().then(refill);
    const leave = () => {
      const drawn = board.current?.canUndo ? current.current?.ready.item.slice : null;
      queue.release(drawn ?? null, csrfHeaders());
    };
    const hide = () => {
      keep.leave();
      leave();
    };
    window.addEventListener("pagehide", hide);
    return () => {
      window.removeEventListener("pagehide", hide);
      leave();
    };
  }, [keep, queue, refill]);

  // Leases are kept up while somebody is at work, and let go when nobody is.
  useEffect(() => {
    const timer = setInterval(() => {
      if (passive || Date.now() - lastActive.current > IDLE_MS) return;
      void refill().then(() => {
        const item = current.current?.ready.item;
        // One that ran out is had again by asking, unless somebody else has it by now.
        const held = item && queue.find(item.slice);
        setLeaseLost(Boolean(item && !held && Date.parse(item.lease.expires_at) < Date.now()));
      });
    }, RENEW_SECONDS * 1000);
    return () => clearInterval(timer);
  }, [passive, queue, refill]);

  useEffect(() => {
    // Somebody waits for the next round: look now and then.
    if (shown || passive) return;
    const timer = setInterval(() => void refill(), 5000);
    return () => clearInterval(timer);
  }, [shown, passive, refill]);

  // Tabs

  const tabs = useRef<Tabs | null>(null);
  useEffect(() => {
    tabs.current = new Tabs(account, () => setPassive(true));
    tabs.current.takeOver();
    return () => tabs.current?.close();
  }, [account]);

  const takeOver = async () => {
    setPassive(false);
    tabs.current?.takeOver();
    // The other tab may have drawn on: its draft is the newer one.
    const now = current.current;
    current.current = null;
    if (now) await show(now.ready);
    await refill();
  };

  // What the annotator does

  const submit = useCallback(
    async (mask: ClassMap | null) => {
      const now = current.current;
      // A key that is held down repeats itself: one slice at a time.
      if (!now || passive || submitting.current) return;
      submitting.current = true;
      const { item } = now.ready;
      const final = mask ?? now.mask;
      now.clock.tick(performance.now());
      await outbox.current?.put({
        slice: item.slice,
        label: t.annotate.slice(item.case, item.index),
        png: encodeClasses(final),
        seconds: now.clock.seconds,
        at: Date.now(),
      });
      lastSubmitted.current = {
        ready: now.ready,
        mask: { ...final, classes: final.classes.slice() },
        seconds: now.clock.seconds,
      };
      queue.finish(item.slice);
      await keep.dropDraft(item.slice);
      setNotice(mask ? t.annotate.marked : null);
      await showNext().finally(() => {
        submitting.current = false;
      });
      if (!current.current) void refill();
    },
    [keep, passive, queue, refill, showNext],
  );

  const markBlank = useCallback(() => {
    const now = current.current;
    if (!now) return;
    const { width, height } = now.mask;
    void submit({ width, height, classes: new Uint8Array(width * height) });
  }, [submit]);

  const skip = async (reason: string) => {
    setDialog(null);
    const now = current.current;
    if (!now) return;
    const { item } = now.ready;
    try {
      await data(
        api.DELETE("/leases/{lease_id}", {
          params: { path: { lease_id: item.lease.id }, query: { reason } },
        }),
      );
    } catch (failure) {
      // A lease that is lost already need not be given back.
      if (!(failure instanceof Error && "status" in failure && failure.status === 410)) {
        setError(words(failure));
        return;
      }
    }
    queue.finish(item.slice);
    await keep.dropDraft(item.slice);
    await showNext();
    void refill();
  };

  const goBack = useCallback(async () => {
    const last = lastSubmitted.current;
    if (!last) return;
    lastSubmitted.current = null;
    if (current.current && board.current?.canUndo) await saveDraft();
    await show(last.ready, { mask: last.mask, seconds: last.seconds });
  }, [saveDraft, show]);

  const lookAt = useCallback(
    async (to: number) => {
      const now = current.current;
      if (!now) return;
      const mine = ++lookTurn.current;
      if (to === 0) {
        neighbour.current = 0;
        setOffset(0);
        setNotice(null);
        board.current?.lookAt(null);
        return;
      }
      const slice = now.ready.neighbours.get(now.ready.item.index + to);
      if (!slice) {
        setNotice(t.annotate.noNeighbour);
        return;
      }
      neighbour.current = to;
      try {
        const picture = await loader.picture(slice.image);
        if (mine !== lookTurn.current) return;
        board.current?.lookAt(picture);
        setNotice(null);
        setOffset(to);
        for (const further of [to - 1, to + 1]) {
          const ahead = now.ready.neighbours.get(now.ready.item.index + further);
          if (ahead) loader.picture(ahead.image).catch(() => {});
        }
      } catch (failure) {
        setError(words(failure));
      }
    },
    [loader],
  );

  const copyFromNeighbour = useCallback(async () => {
    const now = current.current;
    if (!now) return;
    const { item, neighbours } = now.ready;
    // The one that is looked at, or else the nearer ones first.
    const order = offset !== 0 ? [offset] : [-1, 1, -2, 2];
    try {
      for (const away of order) {
        const slice = neighbours.get(item.index + away);
        const mask = slice && (await loader.ownMask(slice.id));
        if (mask && mask.width === now.mask.width && mask.height === now.mask.height) {
          await lookAt(0);
          board.current?.replaceWith(mask.classes);
          return;
        }
      }
      setNotice(t.annotate.noNeighbourMask);
    } catch (failure) {
      setError(words(failure));
    }
  }, [loader, lookAt, offset]);

  const clear = useCallback(() => {
    const now = current.current;
    if (now) board.current?.replaceWith(new Uint8Array(now.mask.classes.length));
  }, []);

  const acceptAll = useCallback(() => {
    const suggestion = current.current?.ready.suggestion;
    if (suggestion) board.current?.replaceWith(suggestion.classes);
  }, []);

  const startAfresh = () => {
    setRestoredAt(null);
    clear();
  };

  const usePreset = useCallback(
    (name: string) => {
      const picture = current.current?.ready.picture;
      if (!picture) return;
      setPreset(name);
      changeLooks({ window: PRESETS[name](picture) });
    },
    [changeLooks],
  );

  const adjust = useCallback(
    (direction: number) => {
      const { tool, size, tolerance } = handNow.current;
      if (tool === "grow") {
        const next = tolerance * 1.25 ** direction;
        changeHand({ tolerance: Math.min(1, Math.max(0.005, next)) });
      } else {
        const step = Math.max(1, Math.round(size * 0.15));
        changeHand({ size: Math.min(200, Math.max(1, size + direction * step)) });
      }
    },
    [changeHand],
  );

  // Keys

  const bindings = bindingsOf(project.classes, {
    hand: changeHand,
    adjust,
    acceptAll,
    undo: () => board.current?.undo(),
    redo: () => board.current?.redo(),
    copy: () => void copyFromNeighbour(),
    clear,
    blank: markBlank,
    skip: () => current.current && setDialog("skip"),
    finish: () => (board.current?.isOutlining ? board.current.closePolygon() : void submit(null)),
    back: () => void goBack(),
    escape: () => board.current?.escape(),
    look: (by) => void lookAt(by === 0 ? 0 : neighbour.current + by),
    fit: () => board.current?.fit(),
    zoom: (factor) => board.current?.zoom(factor),
    nextPreset: () => {
      const names = Object.keys(PRESETS);
      usePreset(names[(names.indexOf(presetNow.current) + 1) % names.length]);
    },
    toggleMask: () => changeLooks({ maskOpacity: looksNow.current.maskOpacity > 0 ? 0 : 0.4 }),
    toggleSuggestion: () => changeLooks({ suggestion: !looksNow.current.suggestion }),
    toggleUncertainty: () =>
      changeLooks({ uncertaintyOpacity: looksNow.current.uncertaintyOpacity > 0 ? 0 : 0.6 }),
    help: () => setDialog("help"),
  });
  useKeys(bindings, {
    used: () => {
      lastActive.current = Date.now();
      current.current?.clock.tick(performance.now());
    },
    space: (held) => board.current?.holdSpace(held),
  });

  return (
    <main class="annotate">
      <Toolbar
        hand={hand}
        onHand={changeHand}
        disabled={!shown || passive}
        canUndo={board.current?.canUndo ?? false}
        canRedo={board.current?.canRedo ?? false}
        hasSuggestion={Boolean(shown?.ready.suggestion)}
        onUndo={() => board.current?.undo()}
        onRedo={() => board.current?.redo()}
        onClear={clear}
        onCopy={() => void copyFromNeighbour()}
        onAcceptAll={acceptAll}
        onHelp={() => setDialog("help")}
        steps={steps}
      />
      <div class="stage">
        <div
          class="board"
          ref={host}
          role="img"
          aria-label={t.annotate.canvas}
          data-slice={shown?.ready.item.slice}
          data-offset={offset}
        />
        <Notices
          notice={offset !== 0 ? t.annotate.neighbour(offset) : notice}
          restoredAt={restoredAt}
          onDiscard={startAfresh}
          leaseLost={leaseLost}
          outbox={outboxState}
          refusals={refusals}
          onRefusalsRead={() => setRefusals([])}
          returned={shown?.ready.item.returned ?? null}
        />
        {error && <Failure error={error} retry={() => void refill()} />}
        {passive && (
          <div class="cover">
            <p>{t.annotate.otherTab}</p>
            <button type="button" class="main" onClick={() => void takeOver()}>
              {t.annotate.takeOver}
            </button>
          </div>
        )}
        {!shown && !passive && batch && (
          <div class="cover">
            <h1>{t.annotate.nothing}</h1>
            <p>{batch.message}</p>
            <button type="button" class="main" onClick={() => void refill()}>
              {t.annotate.checkAgain}
            </button>
          </div>
        )}
        {!shown && !batch && !error && <p class="cover">{t.loading}</p>}
      </div>
      <SidePanel
        project={project}
        current={shown}
        batch={batch}
        hand={hand}
        onHand={changeHand}
        looks={looks}
        onLooks={changeLooks}
        preset={preset}
        onPreset={usePreset}
        disabled={!shown || passive}
        canGoBack={lastSubmitted.current !== null}
        onBack={() => void goBack()}
        onBlank={markBlank}
        onSkip={() => setDialog("skip")}
        onSubmit={() => void submit(null)}
      />
      {dialog === "help" && <HelpDialog bindings={bindings} onClose={() => setDialog(null)} />}
      {dialog === "skip" && (
        <SkipDialog onSkip={(reason) => void skip(reason)} onClose={() => setDialog(null)} />
      )}
    </main>
  );
}
