import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** Where `npm run dev` sends what belongs to the gateway. */
const GATEWAY = process.env["NATTER_GATEWAY"] ?? "http://127.0.0.1:7860";

/**
 * The page promises to load nothing from anybody but the gateway that serves it; this makes the browser hold it
 * to that. Only in builds: the development server injects inline scripts of its own.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "media-src 'self' blob: mediastream:",
  "img-src 'self' data:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
].join("; ");

function contentSecurityPolicy(): Plugin {
  return {
    name: "natter-content-security-policy",
    apply: "build",
    transformIndexHtml: () => [
      {
        tag: "meta",
        attrs: { "http-equiv": "Content-Security-Policy", content: CONTENT_SECURITY_POLICY },
        injectTo: "head-prepend",
      },
    ],
  };
}

export default defineConfig({
  plugins: [react(), contentSecurityPolicy()],
  resolve: {
    alias: {
      // See the file: 250 kB of a vendor's client that the page has no use for.
      "@daily-co/daily-js": fileURLToPath(new URL("src/connection/withoutDaily.ts", import.meta.url)),
    },
  },
  server: {
    proxy: Object.fromEntries(["/api", "/start", "/sessions"].map((path) => [path, { target: GATEWAY }])),
  },
  build: { target: "es2022", license: { fileName: "licenses.md" } },
  test: {
    include: ["tests/**/*.test.{ts,tsx}"],
    // The transport has to go through the alias above, so it must not be left to Node's own resolution.
    server: { deps: { inline: [/@pipecat-ai/] } },
  },
});
