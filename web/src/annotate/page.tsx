/** The annotator's page: it shows the state of the `Workspace`, and passes on what is asked of it. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Project, Session } from "../api/client";
import { EdgeLetters } from "../instruments/edge-letters";
import { HelpDialog } from "../instruments/help";
import { useKeys } from "../instruments/keys";
import { Toolbar } from "../instruments/toolbar";
import { t } from "../texts";
import { Failure } from "../ui";
import { workspaceBindings } from "./bindings";
import { Notices } from "./notices";
import { SidePanel } from "./side-panel";
import { SkipDialog } from "./skip-dialog";
import { EMPTY_WORKSPACE, type WorkspaceState } from "./state";
import { Workspace } from "./workspace";

export function AnnotatePage(props: { session: Session; project: Project }) {
  const { project } = props;
  const { account } = props.session;
  const host = useRef<HTMLDivElement>(null);
  const [state, setState] = useState(EMPTY_WORKSPACE);
  const [dialog, setDialog] = useState<"help" | "skip" | null>(null);
  const workspace = useMemo(() => new Workspace(account, project, setState), [account, project]);
  useEffect(() => workspace.open(host.current!), [workspace]);

  const { controls } = workspace;
  const { current, passive, view } = state;
  const disabled = !current || passive;
  const openDialog = (name: "help" | "skip") => {
    if (name === "help" || current) setDialog(name);
  };
  const bindings = workspaceBindings(project.classes, workspace, openDialog);
  useKeys(bindings, {
    used: () => workspace.used(),
    space: (held) => controls.holdSpace(held),
  });

  return (
    <main class="annotate">
      <Toolbar
        tool={state.tool}
        onTool={(change) => controls.changeTool(change)}
        disabled={disabled}
        can={state.can}
        drawing={controls}
        hasSuggestion={Boolean(current?.loaded.suggestion)}
        onCopy={() => void controls.copyFromNeighbour()}
        onAcceptAll={() => controls.acceptAll()}
        onHelp={() => openDialog("help")}
      />
      <div class="stage">
        <div
          class="board"
          ref={host}
          role="img"
          aria-label={t.instruments.canvas}
          data-slice={current?.loaded.item.slice}
          data-offset={view.offset}
          data-channel={view.channel?.name}
        />
        <EdgeLetters orientation={current?.loaded.orientation ?? null} />
        <Notices state={state} workspace={workspace} />
        <Covers state={state} workspace={workspace} />
      </div>
      <SidePanel
        project={project}
        state={state}
        workspace={workspace}
        disabled={disabled}
        onSkip={() => openDialog("skip")}
      />
      {dialog === "help" && <HelpDialog bindings={bindings} onClose={() => setDialog(null)} />}
      {dialog === "skip" && (
        <SkipDialog
          onSkip={(reason) => {
            setDialog(null);
            void workspace.skip(reason);
          }}
          onClose={() => setDialog(null)}
        />
      )}
    </main>
  );
}

/** What stands in the way of drawing: an error, another tab, or nothing to do. */
function Covers(props: { state: WorkspaceState; workspace: Workspace }) {
  const { state, workspace } = props;
  const { current, batch, passive, view } = state;
  const failure = view.failure && "error" in view.failure ? view.failure.error : null;
  const error = state.error ?? failure;
  return (
    <>
      {error && <Failure error={error} retry={() => void workspace.refill()} />}
      {passive && (
        <div class="cover">
          <p>{t.annotate.otherTab}</p>
          <button type="button" class="main" onClick={() => void workspace.takeOver()}>
            {t.annotate.takeOver}
          </button>
        </div>
      )}
      {!current && !passive && batch && (
        <div class="cover">
          <h1>{t.annotate.nothing}</h1>
          <p>{batch.message}</p>
          <button type="button" class="main" onClick={() => void workspace.refill()}>
            {t.instruments.checkAgain}
          </button>
        </div>
      )}
      {!current && !batch && !error && <p class="cover">{t.loading}</p>}
    </>
  );
}
