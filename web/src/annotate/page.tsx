/** The annotator's page: it shows what lies on the `Desk`, and passes on what is asked of it. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Project, Session } from "../api/client";
import { t } from "../texts";
import { Failure } from "../ui";
import { Desk } from "./desk";
import { deskBindings, useKeys } from "./keys";
import { HelpDialog, Notices, SidePanel, SkipDialog, Toolbar } from "./parts";
import { EMPTY_DESK } from "./state";

export function AnnotatePage(props: { session: Session; project: Project }) {
  const { project } = props;
  const { account } = props.session;
  const host = useRef<HTMLDivElement>(null);
  const [state, setState] = useState(EMPTY_DESK);
  const [dialog, setDialog] = useState<"help" | "skip" | null>(null);
  const desk = useMemo(() => new Desk(account, project, setState), [account, project]);
  useEffect(() => desk.open(host.current!), [desk]);

  const { current, batch, passive, offset, error } = state;
  const disabled = !current || passive;
  const openDialog = (name: "help" | "skip") => {
    if (name === "help" || current) setDialog(name);
  };
  const bindings = deskBindings(project.classes, desk, openDialog);
  useKeys(bindings, { used: () => desk.used(), space: (held) => desk.holdSpace(held) });

  return (
    <main class="annotate">
      <Toolbar
        hand={state.hand}
        onHand={(change) => desk.changeHand(change)}
        disabled={disabled}
        can={state.can}
        drawing={desk}
        hasSuggestion={Boolean(current?.ready.suggestion)}
        onCopy={() => void desk.copyFromNeighbour()}
        onAcceptAll={() => desk.acceptAll()}
        onHelp={() => openDialog("help")}
      />
      <div class="stage">
        <div
          class="board"
          ref={host}
          role="img"
          aria-label={t.annotate.canvas}
          data-slice={current?.ready.item.slice}
          data-offset={offset}
        />
        <Notices
          state={state}
          onDiscard={() => desk.startAfresh()}
          onRefusalsRead={() => desk.readRefusals()}
        />
        {error && <Failure error={error} retry={() => void desk.refill()} />}
        {passive && (
          <div class="cover">
            <p>{t.annotate.otherTab}</p>
            <button type="button" class="main" onClick={() => void desk.takeOver()}>
              {t.annotate.takeOver}
            </button>
          </div>
        )}
        {disabled && !passive && batch && (
          <div class="cover">
            <h1>{t.annotate.nothing}</h1>
            <p>{batch.message}</p>
            <button type="button" class="main" onClick={() => void desk.refill()}>
              {t.annotate.checkAgain}
            </button>
          </div>
        )}
        {!current && !batch && !error && <p class="cover">{t.loading}</p>}
      </div>
      <SidePanel
        project={project}
        state={state}
        desk={desk}
        disabled={disabled}
        onSkip={() => openDialog("skip")}
      />
      {dialog === "help" && <HelpDialog bindings={bindings} onClose={() => setDialog(null)} />}
      {dialog === "skip" && (
        <SkipDialog
          onSkip={(reason) => {
            setDialog(null);
            void desk.skip(reason);
          }}
          onClose={() => setDialog(null)}
        />
      )}
    </main>
  );
}
