/** The frame around the three pages: who is signed in, which project, which page. */

import type { ComponentType } from "preact";
import { useCallback, useEffect, useState } from "preact/hooks";
import { AnnotatePage } from "./annotate/page";
import {
  all,
  api,
  data,
  onSignedOut,
  type Project,
  Refused,
  type Session,
  useCsrf,
} from "./api/client";
import { includes, type Role } from "./api/roles";
import { ImportPanel } from "./dashboard/import";
import { DashboardPage } from "./dashboard/page";
import { offered, shownName } from "./offered";
import { ReviewPage } from "./review/page";
import { SignIn } from "./sign-in";
import { t } from "./texts";
import { Failure, words } from "./ui";

type PageProps = {
  session: Session;
  project: Project;
  onProjects: () => Promise<void>;
  /** A project was renamed, archived or brought back. */
  onProject: (changed: Project) => void;
};
const PAGES: { path: string; title: string; page: ComponentType<PageProps>; least: Role }[] = [
  { path: "/", title: t.nav.annotate, page: AnnotatePage, least: "annotator" },
  { path: "/review", title: t.nav.review, page: ReviewPage, least: "reviewer" },
  { path: "/dashboard", title: t.nav.dashboard, page: DashboardPage, least: "viewer" },
];
/** How often the session's end is put off while a page is open. */
const STAY_SIGNED_IN_MS = 10 * 60_000;
const PROJECT_KEY = "sfumato-project";
const THEME_KEY = "sfumato-theme";

export function App() {
  const [session, setSession] = useState<Session | null>(null);
  const [asked, setAsked] = useState(false);
  const [over, setOver] = useState(false);
  const [error, setError] = useState<string | null>(null);
  /** Why signing out failed. */
  const [stuck, setStuck] = useState<string | null>(null);

  const take = useCallback((found: Session) => {
    useCsrf(found.csrf);
    // The same person keeps the page as it is, with whatever is being drawn.
    setSession((old) => (old?.account === found.account && old.role === found.role ? old : found));
    setOver(false);
    setError(null);
  }, []);

  const ask = useCallback(async () => {
    try {
      take(await data(api.GET("/session")));
    } catch (failure) {
      if (failure instanceof Refused && failure.status === 401) setOver(true);
      else setError(words(failure));
    } finally {
      setAsked(true);
    }
  }, [take]);

  useEffect(() => {
    onSignedOut(() => setOver(true));
    void ask();
    const timer = setInterval(() => void ask(), STAY_SIGNED_IN_MS);
    return () => clearInterval(timer);
  }, [ask]);

  const signOut = async () => {
    setStuck(null);
    try {
      await data(api.DELETE("/session"));
    } catch (failure) {
      // A session that is over already need not be ended.
      if (!(failure instanceof Refused && failure.status === 401)) {
        setStuck(words(failure));
        return;
      }
    }
    setSession(null);
    setOver(true);
  };

  if (!asked) return <p class="cover">{t.loading}</p>;
  return (
    <>
      {session && <Signed session={session} onSignOut={() => void signOut()} />}
      {over && <SignIn again={session !== null} onSigned={take} />}
      {stuck && <Failure error={stuck} retry={() => void signOut()} />}
      {error && !session && <Failure error={error} retry={() => void ask()} />}
    </>
  );
}

function Signed(props: { session: Session; onSignOut: () => void }) {
  const { session } = props;
  const [path, setPath] = useState(location.pathname);
  const [projects, setProjects] = useState<Project[] | null>(null);
  const [name, setName] = useState(localStorage.getItem(PROJECT_KEY));
  const [error, setError] = useState<string | null>(null);

  const load = useCallback(async () => {
    try {
      const found = await all((page) =>
        data(
          api.GET("/projects", {
            params: { query: { ...page, archived: true } },
          }),
        ),
      );
      setProjects(found);
      setError(null);
    } catch (failure) {
      setError(words(failure));
    }
  }, []);

  useEffect(() => {
    void load();
    const moved = () => setPath(location.pathname);
    window.addEventListener("popstate", moved);
    return () => window.removeEventListener("popstate", moved);
  }, [load]);

  const go = (to: string) => {
    history.pushState(null, "", to);
    setPath(to);
  };
  const choose = (to: string) => {
    localStorage.setItem(PROJECT_KEY, to);
    setName(to);
  };

  const replace = (changed: Project) => {
    setProjects((all) => all?.map((one) => (one.id === changed.id ? changed : one)) ?? null);
    choose(changed.name);
  };

  const choices = offered(projects ?? [], path === "/dashboard");
  const project = choices.find((one) => one.name === name) ?? choices[0];
  // Before the projects are known nobody is kept from a page that may be theirs.
  const role = project ? project.role : (session.role ?? "reviewer");
  const pages = PAGES.filter(({ least }) => includes(role, least));
  const { page: Page, title } = pages.find((one) => one.path === path) ?? pages[0];
  useEffect(() => {
    document.title = `${title} · ${t.product}`;
  }, [title]);

  return (
    <>
      <header class="bar">
        <strong>{t.product}</strong>
        <nav aria-label={t.product}>
          {pages.map((one) => (
            <a
              key={one.path}
              href={one.path}
              aria-current={one.title === title ? "page" : undefined}
              onClick={(event) => {
                if (event.ctrlKey || event.metaKey || event.shiftKey) return;
                event.preventDefault();
                go(one.path);
              }}
            >
              {one.title}
            </a>
          ))}
        </nav>
        {choices.length > 1 && (
          <label>
            {t.project}{" "}
            <select
              value={project?.name ?? ""}
              onChange={(event) => choose(event.currentTarget.value)}
            >
              {choices.map((one) => (
                <option key={one.name} value={one.name}>
                  {shownName(one)}
                </option>
              ))}
            </select>
          </label>
        )}
        <span class="space" />
        <Theme />
        <span>{t.signIn.as(session.account, project?.role ?? session.role)}</span>
        <button type="button" class="quiet" onClick={props.onSignOut}>
          {t.signIn.out}
        </button>
      </header>
      {error && <Failure error={error} retry={() => void load()} />}
      {project && (
        <Page
          key={`${session.account}/${project.name}`}
          session={session}
          project={project}
          onProjects={load}
          onProject={replace}
        />
      )}
      {projects && !project && path !== "/dashboard" && (
        <p class="cover">{projects.length > 0 ? t.life.allArchived : t.noProject}</p>
      )}
      {projects && !project && path === "/dashboard" && session.role === "admin" && (
        <FirstImport onDone={() => void load()} />
      )}
    </>
  );
}

function FirstImport(props: { onDone: () => void }) {
  return (
    <main class="dashboard">
      <ImportPanel project={null} onDone={props.onDone} />
    </main>
  );
}

function Theme() {
  const [theme, setTheme] = useState(localStorage.getItem(THEME_KEY) ?? "auto");
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem(THEME_KEY, theme);
  }, [theme]);
  return (
    <label>
      <span class="hidden">{t.theme.label}</span>
      <select value={theme} onChange={(event) => setTheme(event.currentTarget.value)}>
        <option value="auto">{t.theme.auto}</option>
        <option value="light">{t.theme.light}</option>
        <option value="dark">{t.theme.dark}</option>
      </select>
    </label>
  );
}
