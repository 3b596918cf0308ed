/** How a project is doing; for admins, also what they can change. */

import { useState } from "preact/hooks";
import { api, data, type Progress, type Project, type Session } from "../api/client";
import { includes } from "../api/roles";
import { t } from "../texts";
import { Failure, Panel, useLoaded, useRepeat, words } from "../ui";
import { AuditPanel } from "./audit";
import { GalleryPanel, MapPanel } from "./batch";
import { CurvePanel } from "./curve";
import { DeletePanel } from "./delete";
import { ExportPanel } from "./export";
import { ImportPanel } from "./import";
import { JobsPanel } from "./jobs";
import { ArchivedPanel, LifePanel } from "./life";
import { MembersPanel } from "./members";
import { ModelsPanel } from "./models";
import { PeoplePanel } from "./people";
import { SettingsPanel } from "./settings";
import { TokensPanel } from "./tokens";
import { TransfersPanel } from "./transfers";
import { TroublePanel } from "./trouble";

const text = t.dashboard;
const REFRESH_SECONDS = 5;

export function DashboardPage(props: {
  session: Session;
  project: Project;
  onProjects: () => Promise<void>;
  onProject: (changed: Project) => void;
}) {
  const { session, project } = props;
  const name = project.name;
  const progress = useLoaded(
    () => data(api.GET("/projects/{name}/progress", { params: { path: { name } } })),
    name,
  );
  useRepeat(() => void progress.reload(), REFRESH_SECONDS);
  const admin = includes(project.role, "admin");
  // Of an archived project nothing is changed: it is exported, deleted, and given to readers.
  const changes = admin && !project.archived_at;
  // What was asked for is in the list of transfers at once, not at its next look.
  const [asked, setAsked] = useState(0);
  const onTransfer = () => {
    setAsked((before) => before + 1);
    void progress.reload();
    void props.onProjects();
  };
  const { value } = progress;
  if (!value) {
    return progress.error ? (
      <Failure error={progress.error} retry={() => void progress.reload()} />
    ) : (
      <p class="cover">{t.loading}</p>
    );
  }
  // What hangs on the models or the round is loaded again when there is a new one.
  const version = `${name}/${value.learning_curve.length}/${value.round?.id ?? 0}`;
  return (
    <main class="dashboard">
      <h1 class="hidden">{text.title}</h1>
      {project.archived_at && (
        <ArchivedPanel project={project} admin={admin} onChange={props.onProject} />
      )}
      <TroublePanel progress={value} project={name} admin={changes} onChange={progress.reload} />
      <CurvePanel progress={value} />
      <RoundPanel progress={value} project={name} admin={changes} onChange={progress.reload} />
      <JobsPanel project={name} active={value.job} admin={changes} onChange={progress.reload} />
      <ModelsPanel
        project={name}
        classes={project.classes}
        version={version}
        admin={changes}
        reviewer={includes(project.role, "reviewer")}
      />
      {value.round && (
        <GalleryPanel round={value.round} version={`${version}/${value.round.labelled}`} />
      )}
      {value.round && <MapPanel key={value.round.id} round={value.round} version={version} />}
      <PeoplePanel project={name} version={`${name}/${value.slices.pool.labelled}`} />
      {changes && <SettingsPanel key={name} project={project} />}
      {changes && <ImportPanel project={name} onDone={onTransfer} />}
      {admin && <ExportPanel project={name} onDone={onTransfer} />}
      {admin && <TransfersPanel project={name} version={asked} onChange={onTransfer} />}
      {admin && <MembersPanel project={name} />}
      {admin && <TokensPanel project={name} everywhere={session.role === "admin"} />}
      {admin && <AuditPanel key={`trail/${name}`} project={name} />}
      {changes && <LifePanel key={`life/${name}`} project={project} onChange={props.onProject} />}
      {admin && <DeletePanel project={name} onDeleted={onTransfer} />}
    </main>
  );
}

function RoundPanel(props: {
  progress: Progress;
  project: string;
  admin: boolean;
  onChange: () => Promise<void>;
}) {
  const { round, slices, to_review: toReview, job } = props.progress;
  const [error, setError] = useState<string | null>(null);
  const retrain = async () => {
    try {
      await data(api.POST("/jobs", { body: { project: props.project, kind: "retrain" } }));
      setError(null);
      await props.onChange();
    } catch (failure) {
      setError(words(failure));
    }
  };
  return (
    <Panel title={text.round}>
      {round ? (
        <>
          <p>{text.roundState(round.number, round.strategy)}</p>
          {round.exploring && <p>{t.instruments.exploring(round.exploring)}</p>}
          <progress
            max={Math.max(round.size, 1)}
            value={round.labelled}
            aria-label={t.instruments.roundProgress(round.labelled, round.size)}
          />
          <p class="small">{t.instruments.roundProgress(round.labelled, round.size)}</p>
          <dl class="figures">
            <Figure name={text.figures.open} value={round.open} />
            <Figure name={text.figures.blank} value={round.blank} />
            <Figure name={text.figures.cases} value={round.cases} />
            <Figure name={text.figures.pixels} value={round.foreground_pixels} />
            <Figure name={text.figures.review} value={toReview} />
          </dl>
        </>
      ) : (
        <p>{text.noRound}</p>
      )}
      <table>
        <caption class="hidden">{text.pool}</caption>
        <tbody>
          {Object.entries(slices).map(([split, { labelled, total }]) => (
            <tr key={split}>
              <th scope="row">{text.splits[split]}</th>
              <td class="number">{t.instruments.roundProgress(labelled, total)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {props.admin && (
        <>
          <p class="small">{text.retrainHint}</p>
          <button type="button" class="main" disabled={job !== null} onClick={() => void retrain()}>
            {text.retrain}
          </button>
        </>
      )}
      {error && <Failure error={error} />}
    </Panel>
  );
}

export function Figure(props: { name: string; value: number | string }) {
  return (
    <div>
      <dt>{props.name}</dt>
      <dd>{props.value}</dd>
    </div>
  );
}
