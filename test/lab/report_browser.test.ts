/** The report in a real browser: headless Chromium, from file://, light and dark, wide and narrow, and on paper. */
import assert from 'node:assert/strict';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { makeReport } from '../../src/lab/report.js';
import { CURVES } from '../../src/lab/report_style.js';
import { syntheticResults } from './synthetic.js';

/** Debian's; another by CHROMIUM. */
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const skip = isExecutable(CHROMIUM) ? false : `needs ${CHROMIUM} (Debian package chromium, or set CHROMIUM)`;

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

interface Look {
  readonly width: number;
  readonly colorScheme: 'light' | 'dark';
}

describe('the report in Chromium', { skip }, () => {
  let browser: Browser;
  let directory: string;
  let url: string;
  const results = syntheticResults();
  const charts = results.experiments.flatMap((one) => (one.outcome === 'done' ? one.findings.charts : []));

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'netferry-test-'));
    writeFileSync(join(directory, 'report.html'), makeReport(results));
    url = pathToFileURL(join(directory, 'report.html')).href;
    // Root has no user namespace of its own to put Chromium's sandbox in; the page is ours.
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  });
  after(async () => {
    await browser?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Opens the report; what the console says, what fails and what is requested ends up in `noise`. */
  async function open({ width, colorScheme }: Look): Promise<{ page: Page; noise: string[] }> {
    const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
    const noise: string[] = [];
    page.on('console', (message) => noise.push(`console ${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => noise.push(`error: ${error.message}`));
    page.on('request', (request) => {
      if (request.url() !== url) noise.push(`request: ${request.url()}`);
    });
    await page.goto(url, { waitUntil: 'load' });
    return { page, noise };
  }

  for (const width of [1280, 400]) {
    for (const colorScheme of ['light', 'dark'] as const) {
      test(`every chart is there, at ${width} pixels, ${colorScheme}; nothing is fetched, nothing overflows`, async () => {
        const { page, noise } = await open({ width, colorScheme });
        for (const { title } of charts) {
          // By role and name: that is how it reaches those who do not see it.
          const chart = page.getByRole('img', { name: title, exact: true });
          assert.equal(await chart.count(), 1, `${title}: one of its two drawings is shown`);
          const box = await chart.boundingBox();
          assert.ok(box && box.width > 280 && box.height > 120, `${title}: ${JSON.stringify(box)}`);
          assert.ok((await chart.locator('path, circle').count()) >= 2, `${title}: it has points`);
        }
        assert.equal(await page.locator('figure').count(), charts.length);
        for (const summary of await page.locator('summary').all()) await summary.click();
        assert.deepEqual(await page.evaluate(overflowing), []);
        assert.deepEqual(noise, []);
        await page.close();
      });
    }
  }

  test('light and dark: page and curves have their own colours', async () => {
    const seen: Record<string, string[]> = {};
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page } = await open({ width: 1280, colorScheme });
      seen[colorScheme] = await page.evaluate(() => {
        const line = document.querySelector('svg.wide [aria-label=line]');
        return [getComputedStyle(document.body).backgroundColor, line ? getComputedStyle(line).stroke : ''];
      });
      await page.close();
    }
    const rgb = (hex: string) =>
      `rgb(${[1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16)).join(', ')})`;
    assert.deepEqual(seen, {
      light: ['rgb(255, 255, 255)', rgb(CURVES.light[0])],
      dark: ['rgb(20, 24, 29)', rgb(CURVES.dark[0])],
    });
  });

  test('on paper it is light, figures are open without a click, and a PDF comes of it', async () => {
    const { page, noise } = await open({ width: 1280, colorScheme: 'dark' });
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    assert.equal(
      await page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--paper')),
      '#ffffff',
    );
    assert.equal(await page.locator('figure details td').first().isVisible(), true);
    const pdf = await page.pdf({ format: 'A4' });
    assert.equal(pdf.subarray(0, 5).toString(), '%PDF-');
    const pages = pdf.toString('latin1').match(/\/Type\s*\/Page\b/g)?.length ?? 0;
    assert.ok(pages >= results.experiments.length && pages < 20, `${pages} pages`);
    assert.deepEqual(noise, []);
    await page.close();
  });
});

/** Runs in the page: what is wider than its room, text of the drawings beyond their edges included. */
function overflowing(): string[] {
  const found: string[] = [];
  if (document.documentElement.scrollWidth > window.innerWidth) {
    found.push(`the page: ${document.documentElement.scrollWidth}`);
  }
  for (const element of document.querySelectorAll('body *')) {
    if (element.closest('.scroll') && !element.classList.contains('scroll')) continue; // scrolls by itself
    const box = element.getBoundingClientRect();
    if (box.width === 0) continue;
    const room = (element.closest('svg.chart') ?? document.documentElement).getBoundingClientRect();
    if (box.right > room.right + 1 || box.left < room.left - 1 || box.bottom > room.bottom + 1) {
      found.push(
        `${element.tagName} ${element.textContent?.slice(0, 40)}: ${box.left}–${box.right} in ${room.right}`,
      );
    }
  }
  return found;
}
