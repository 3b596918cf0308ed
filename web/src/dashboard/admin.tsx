/** What admins do: settings of the next round, data sets in and out, tokens. */

import { useRef, useState } from "preact/hooks";
import { all, api, data, type ImportResult, type Project, post } from "../api/client";
import { t } from "../texts";
import { Failure, Panel, useLoaded, words } from "../ui";

const text = t.dashboard;

interface Field {
  section: "query" | "training";
  name: string;
  label: string;
  hint?: string;
  choices?: string[];
  kind: "string" | "number" | "boolean";
  nullable: boolean;
}

interface JsonSchema {
  type?: string;
  enum?: string[];
  anyOf?: JsonSchema[];
  description?: string;
  properties?: Record<string, JsonSchema>;
}

/** The fields of the settings as the server's own document describes them. */
export function fieldsOf(document: {
  components: { schemas: Record<string, JsonSchema> };
}): Field[] {
  const sections = { query: "QuerySettings", training: "TrainingSettings" } as const;
  return (["query", "training"] as const).flatMap((section) => {
    const properties = document.components.schemas[sections[section]]?.properties ?? {};
    return Object.entries(properties).map(([name, schema]) => {
      const kinds = (schema.anyOf ?? [schema]).map((one) => one.type);
      const kind = kinds.includes("boolean")
        ? "boolean"
        : kinds.some((one) => one === "integer" || one === "number")
          ? "number"
          : "string";
      return {
        section,
        name,
        label: name.replaceAll("_", " "),
        ...(schema.description ? { hint: schema.description } : {}),
        ...(schema.enum ? { choices: schema.enum } : {}),
        kind,
        nullable: kinds.includes("null"),
      };
    });
  });
}

export function SettingsPanel(props: { project: Project }) {
  const name = props.project.name;
  const settings = useLoaded(async () => {
    const [project, document, strategies] = await Promise.all([
      data(api.GET("/projects/{name}", { params: { path: { name } } })),
      fetch("/openapi.json").then((reply) => reply.json()),
      data(api.GET("/strategies")),
    ]);
    const fields = fieldsOf(document).map((field) =>
      field.section === "query" && field.name === "strategy"
        ? { ...field, choices: strategies }
        : field,
    );
    return { project, fields };
  }, name);
  const [changes, setChanges] = useState<Record<string, unknown>>({});
  const [said, setSaid] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const save = async () => {
    const body: { query: Record<string, unknown>; training: Record<string, unknown> } = {
      query: {},
      training: {},
    };
    for (const [key, value] of Object.entries(changes)) {
      const [section, field] = key.split(".") as ["query" | "training", string];
      body[section][field] = value;
    }
    try {
      await data(api.PATCH("/projects/{name}", { params: { path: { name } }, body }));
      setChanges({});
      setError(null);
      setSaid(text.saved);
      await settings.reload();
    } catch (failure) {
      setSaid(null);
      setError(words(failure));
    }
  };
  if (!settings.value) {
    return (
      <Panel title={text.settings}>
        {settings.error && <Failure error={settings.error} retry={() => void settings.reload()} />}
      </Panel>
    );
  }
  const { project, fields } = settings.value;
  return (
    <Panel title={text.settings}>
      <p class="small">{text.settingsHint}</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        {(["query", "training"] as const).map((section) => (
          <fieldset key={section}>
            <legend>{text.sections[section]}</legend>
            <div class="fields">
              {fields
                .filter((field) => field.section === section)
                .map((field) => {
                  const key = `${section}.${field.name}`;
                  return (
                    <SettingField
                      key={key}
                      field={field}
                      value={key in changes ? changes[key] : project[section][field.name]}
                      onChange={(to) => setChanges({ ...changes, [key]: to })}
                    />
                  );
                })}
            </div>
          </fieldset>
        ))}
        <button type="submit" class="main" disabled={Object.keys(changes).length === 0}>
          {text.save}
        </button>{" "}
        <output>{said}</output>
        {error && <Failure error={error} />}
      </form>
    </Panel>
  );
}

function SettingField(props: { field: Field; value: unknown; onChange: (to: unknown) => void }) {
  const { field, value } = props;
  const name = `${field.section}.${field.name}`;
  if (field.choices) {
    return (
      <label title={field.hint}>
        <span class="small">{field.label}</span>
        <select
          name={name}
          value={String(value)}
          onChange={(event) => props.onChange(event.currentTarget.value)}
        >
          {field.choices.map((choice) => (
            <option key={choice}>{choice}</option>
          ))}
        </select>
      </label>
    );
  }
  if (field.kind === "boolean") {
    return (
      <label class="choice" title={field.hint}>
        <input
          type="checkbox"
          name={name}
          checked={Boolean(value)}
          onChange={(event) => props.onChange(event.currentTarget.checked)}
        />
        <span class="small">{field.label}</span>
      </label>
    );
  }
  return (
    <label title={field.hint}>
      <span class="small">{field.label}</span>
      <input
        name={name}
        type={field.kind === "number" ? "number" : "text"}
        step="any"
        value={value === null || value === undefined ? "" : String(value)}
        onInput={(event) => {
          const given = event.currentTarget.value;
          if (given === "") props.onChange(field.nullable ? null : given);
          else props.onChange(field.kind === "number" ? Number(given) : given);
        }}
      />
    </label>
  );
}

const LAYOUTS = ["msd", "brats", "nifti", "dicom", "png"];

export function ImportPanel(props: { project: string | null; onDone: () => void }) {
  const file = useRef<HTMLInputElement>(null);
  const [name, setName] = useState(props.project ?? "");
  const [layout, setLayout] = useState(LAYOUTS[0]);
  const [masks, setMasks] = useState("");
  const [busy, setBusy] = useState(false);
  const [result, setResult] = useState<ImportResult | null>(null);
  const [error, setError] = useState<string | null>(null);
  const send = async () => {
    const archive = file.current?.files?.[0];
    if (!archive) return;
    setBusy(true);
    setResult(null);
    try {
      const query = new URLSearchParams({ layout, ...(masks ? { masks } : {}) });
      const path = `/projects/${encodeURIComponent(name)}/imports?${query}`;
      setResult(await post<ImportResult>(path, archive, "application/zip"));
      setError(null);
      props.onDone();
    } catch (failure) {
      setError(words(failure));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Panel title={text.import}>
      <p class="small">{text.importHint}</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <div class="fields">
          <label>
            <span class="small">{text.newProject}</span>
            <input
              name="project"
              required
              value={name}
              onInput={(event) => setName(event.currentTarget.value)}
            />
          </label>
          <label>
            <span class="small">{text.layout}</span>
            <select value={layout} onChange={(event) => setLayout(event.currentTarget.value)}>
              {LAYOUTS.map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          </label>
          <label>
            <span class="small">{text.masks}</span>
            <select value={masks} onChange={(event) => setMasks(event.currentTarget.value)}>
              <option value="">{text.masksNone}</option>
              <option value="pool">{text.masksPool}</option>
              <option value="oracle">{text.masksOracle}</option>
            </select>
          </label>
          <label>
            <span class="small">{text.archive}</span>
            <input type="file" accept=".zip" required ref={file} />
          </label>
        </div>
        <button type="submit" class="main" disabled={busy}>
          {busy ? text.importing : text.importSubmit}
        </button>
      </form>
      {error && <Failure error={error} />}
      {result && (
        <p role="status">
          {text.imported(result.cases, result.new_slices, result.known_slices)}
          {Object.keys(result.refused).length > 0 && (
            <>
              {" "}
              {text.leftOut}{" "}
              {Object.entries(result.refused)
                .map(([one, why]) => `${one}: ${why}`)
                .join("; ")}
            </>
          )}
        </p>
      )}
    </Panel>
  );
}

export function ExportPanel(props: { project: string }) {
  return (
    <Panel title={text.export}>
      <p class="small">{text.exportHint}</p>
      <a href={`/projects/${encodeURIComponent(props.project)}/export`} download>
        {text.exportSubmit}
      </a>
    </Panel>
  );
}

export function TokensPanel() {
  const tokens = useLoaded(
    () =>
      all((page) =>
        data(
          api.GET("/tokens", {
            params: { query: { ...page } },
          }),
        ),
      ),
    "tokens",
  );
  const [name, setName] = useState("");
  const [role, setRole] = useState<"annotator" | "reviewer" | "admin">("annotator");
  const [made, setMade] = useState<{ name: string; token: string } | null>(null);
  const [error, setError] = useState<string | null>(null);
  const attempt = async (action: () => Promise<unknown>) => {
    try {
      await action();
      setError(null);
      await tokens.reload();
    } catch (failure) {
      setError(words(failure));
    }
  };
  const make = () =>
    attempt(async () => {
      setMade(await data(api.POST("/tokens", { body: { name, role } })));
      setName("");
    });
  const revoke = (id: number) =>
    attempt(() => data(api.DELETE("/tokens/{token_id}", { params: { path: { token_id: id } } })));
  return (
    <Panel title={text.tokens}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void make();
        }}
      >
        <div class="fields">
          <label>
            <span class="small">{text.tokenName}</span>
            <input required value={name} onInput={(event) => setName(event.currentTarget.value)} />
          </label>
          <label>
            <span class="small">{text.tokenRole}</span>
            <select
              value={role}
              onChange={(event) => setRole(event.currentTarget.value as typeof role)}
            >
              {Object.entries(text.roles).map(([one, label]) => (
                <option key={one} value={one}>
                  {label}
                </option>
              ))}
            </select>
          </label>
        </div>
        <button type="submit">{text.tokenMake}</button>
      </form>
      {made && (
        <p role="status">
          {text.tokenMade(made.name)} <code class="token">{made.token}</code>
        </p>
      )}
      {(error || tokens.error) && <Failure error={(error ?? tokens.error)!} />}
      <table>
        <tbody>
          {(tokens.value ?? []).map((token) => (
            <tr key={token.id}>
              <td>{token.id}</td>
              <th scope="row">{token.name}</th>
              <td>{text.roles[token.role]}</td>
              <td>
                {token.revoked_at ? (
                  text.tokenRevoked
                ) : (
                  <button type="button" onClick={() => void revoke(token.id)}>
                    {text.tokenRevoke}
                  </button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}
