import { defineConfig } from "vite";

// The page is served by the Python package, so that is where it is built.
export default defineConfig({
  build: {
    outDir: "../app/web",
    emptyOutDir: true,
    // Inlined files would need a weaker Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 600,
  },
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  server: {
    proxy: Object.fromEntries(
      [
        "/session",
        "/projects",
        "/query",
        "/slices",
        "/masks",
        "/leases",
        "/jobs",
        "/rounds",
        "/models",
        "/tokens",
        "/catalogue",
        "/transfers",
      ].map((path) => [path, "http://127.0.0.1:8000"]),
    ),
  },
});
