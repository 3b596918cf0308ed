/** Retrainings: the running one live, and what became of the last ones. */

import { useEffect, useState } from "preact/hooks";
import { all, api, data, type Job } from "../api/client";
import { t } from "../texts";
import { Failure, Panel, useLoaded, words } from "../ui";

const text = t.dashboard;

/** A running job as its events tell of it, from one to the next. */
function useJob(active: Job | null, onEnd: () => void): Job | null {
  const [job, setJob] = useState<Job | null>(active);
  const id = active?.id;
  useEffect(() => {
    setJob(active);
    if (id === undefined) return;
    const source = new EventSource(`/jobs/${id}/events`);
    source.addEventListener("job", (event) => {
      const seen = JSON.parse((event as MessageEvent).data) as Job;
      setJob(seen);
      if (!["queued", "running", "waiting"].includes(seen.state)) {
        source.close();
        onEnd();
      }
    });
    return () => source.close();
  }, [id]);
  return job;
}

export function JobsPanel(props: {
  project: string;
  active: Job | null;
  admin: boolean;
  onChange: () => Promise<void>;
}) {
  const jobs = useLoaded(
    () =>
      all((page) =>
        data(
          api.GET("/jobs", {
            params: {
              query: {
                project: props.project,
                ...page,
              },
            },
          }),
        ),
      ),
    `${props.project}/${props.active?.id ?? 0}`,
  );
  const live = useJob(props.active, () => {
    void jobs.reload();
    void props.onChange();
  });
  const [error, setError] = useState<string | null>(null);
  const cancel = async (id: number) => {
    try {
      await data(api.POST("/jobs/{job_id}/cancel", { params: { path: { job_id: id } } }));
      await jobs.reload();
    } catch (failure) {
      setError(words(failure));
    }
  };
  const shown = (jobs.value ?? [])
    .map((job) => (live?.id === job.id ? live : job))
    .reverse()
    .slice(0, 8);
  return (
    <Panel title={text.jobs}>
      {jobs.error && <Failure error={jobs.error} retry={() => void jobs.reload()} />}
      {error && <Failure error={error} />}
      {shown.length === 0 && <p>{text.noJobs}</p>}
      {shown.map((job) => (
        <JobView key={job.id} job={job} onCancel={props.admin ? () => void cancel(job.id) : null} />
      ))}
    </Panel>
  );
}

/** How far a training is: networks one after the other, each in epochs or in steps. */
type TrainingProgress = {
  member?: number;
  members?: number;
  epoch?: number;
  epochs?: number;
  step?: number;
  steps?: number;
};

function shareOf(progress: TrainingProgress): number | null {
  const { member = 1, members = 1, epoch, epochs, step = epoch, steps = epochs } = progress;
  return step === undefined || !steps ? null : (member - 1 + step / steps) / members;
}

function trainingWords(progress: TrainingProgress): string {
  const { member, members, epoch, epochs, step, steps } = progress;
  return [
    member !== undefined && members !== undefined && text.member(member, members),
    epoch !== undefined && epochs !== undefined && text.epoch(epoch, epochs),
    step !== undefined && steps !== undefined && text.step(step, steps),
  ]
    .filter(Boolean)
    .join(", ");
}

function JobView(props: { job: Job; onCancel: (() => void) | null }) {
  const { job } = props;
  const progress = job.progress as TrainingProgress & {
    slices_scored?: number;
    exploring?: string | null;
  };
  const { slices_scored: scored, exploring } = progress;
  const share = job.step === "train" ? shareOf(progress) : null;
  const active = ["queued", "running", "waiting"].includes(job.state);
  return (
    <article data-job={job.id} data-state={job.state}>
      <p>
        {text.jobState(job.id, job.state, job.step)}{" "}
        <span class="small">
          {trainingWords(progress)}
          {scored !== undefined && ` · ${text.scored(scored)}`}
        </span>{" "}
        {active && props.onCancel && (
          <button type="button" onClick={props.onCancel} disabled={job.cancel_requested}>
            {text.cancelJob}
          </button>
        )}
      </p>
      {active && (
        <progress
          aria-label={text.jobState(job.id, job.state, job.step)}
          {...(share === null ? {} : { max: 1, value: share })}
        />
      )}
      {exploring && <p class="small">{t.instruments.exploring(exploring)}</p>}
      {job.error && (
        <details>
          <summary>{text.jobError}</summary>
          <pre>{job.error}</pre>
        </details>
      )}
    </article>
  );
}
