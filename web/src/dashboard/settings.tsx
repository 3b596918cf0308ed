/** The settings that the next round follows, as the server describes them. */

import { useState } from "preact/hooks";
import { api, type Catalogue, data, type Project } from "../api/client";
import { t } from "../texts";
import { Failure, Panel, useLoaded, words } from "../ui";
import { type Entry, EntryField } from "./choice";

const text = t.dashboard;

interface Field {
  section: "query" | "training";
  name: string;
  label: string;
  hint?: string;
  choices?: Entry[];
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
        ...(schema.enum ? { choices: schema.enum.map((one) => ({ name: one })) } : {}),
        kind,
        nullable: kinds.includes("null"),
      };
    });
  });
}

/** A setting that names an entry of the catalogue offers those that there are. */
function withCatalogue(field: Field, catalogue: Catalogue): Field {
  const { section, name } = field;
  if (section === "query" && name === "strategy") {
    return { ...field, choices: catalogue.strategies };
  }
  if (section === "training" && name === "network") {
    return { ...field, choices: catalogue.networks };
  }
  if (section === "training" && name === "recipe") {
    return { ...field, choices: catalogue.recipes };
  }
  return field;
}

export function SettingsPanel(props: { project: Project }) {
  const name = props.project.name;
  const settings = useLoaded(async () => {
    const [project, document, catalogue] = await Promise.all([
      data(api.GET("/projects/{name}", { params: { path: { name } } })),
      fetch("/openapi.json").then((reply) => reply.json()),
      data(api.GET("/catalogue")),
    ]);
    const fields = fieldsOf(document).map((field) => withCatalogue(field, catalogue));
    return { project, fields };
  }, name);
  const [saved, setSaved] = useState<Project | null>(null);
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
      // The reply is what the fields show from here on: a later look at the server would first
      // put the old values back, and then the new ones under the fingers of who types on.
      const sent = changes;
      setSaved(await data(api.PATCH("/projects/{name}", { params: { path: { name } }, body })));
      setChanges((now) =>
        Object.fromEntries(Object.entries(now).filter(([key, to]) => sent[key] !== to)),
      );
      setError(null);
      setSaid(text.saved);
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
  const { fields } = settings.value;
  const project = saved ?? settings.value.project;
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
                      onChange={(to) => setChanges((now) => ({ ...now, [key]: to }))}
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
      <EntryField
        label={field.label}
        hint={field.hint}
        name={name}
        entries={field.choices}
        value={String(value)}
        onChange={props.onChange}
      />
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
