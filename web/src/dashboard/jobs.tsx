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

function JobView(props: { job: Job; onCancel: (() => void) | null }) {
  const { job } = props;
  const {
    epoch,
    epochs,
    slices_scored: scored,
    exploring,
  } = job.progress as {
    epoch?: number;
    epochs?: number;
    slices_scored?: number;
    exploring?: string | null;
  };
  const active = ["queued", "running", "waiting"].includes(job.state);
  return (
    <article data-job={job.id} data-state={job.state}>
      <p>
        {text.jobState(job.id, job.state, job.step)}{" "}
        <span class="small">
          {epoch !== undefined && epochs !== undefined && text.epoch(epoch, epochs)}
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
          {...(epoch !== undefined && epochs !== undefined && job.step === "train"
            ? { max: epochs, value: epoch }
            : {})}
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
