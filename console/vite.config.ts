import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// Relative base: the binary may serve the console at `/` or a proxy may put it under a path.
export default defineConfig({
  base: './',
  plugins: [svelte()],
  build: {
    target: 'es2022',
    // No data: URLs and no polyfill, so `default-src 'self'` is all the page needs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: { '/api': 'http://127.0.0.1:8686' },
  },
  test: {
    include: ['test/**/*.test.ts'],
  },
});
