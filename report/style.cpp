#include "report/html.h"

namespace rcnn {

const std::string_view kReportStyle = R"css(
:root { color-scheme: light dark; --page: #fff; --ink: #17202e; --soft: #56606f; --line: #e3e7ee; --axis: #aab3c0;
        --tint: #f4f6fa; --accent: #1d4ed8; --on-accent: #fff; --columns: #a9c2f7; --hit: 29 78 216; --slip: 234 88 12;
        --c1: #1d4ed8; --c2: #c2500c; --c3: #0b7a70; --c4: #b0217a; --c5: #746400; --c6: #7c3aed; --c7: #0369a1;
        --c8: #b91c1c; --q0: #dde3ec; --q1: #1d4ed8; --q2: #93b9fb; --q3: #8b5cf6; --q4: #fb8a3c; --q5: #f5cf5c; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14181f; --ink: #e6eaf1; --soft: #a3adbb; --line: #2d3542; --axis: #566173; --tint: #1d232d;
          --accent: #7aa5ff; --on-accent: #0d1526; --columns: #3a5591; --hit: 96 145 255; --slip: 255 140 66;
          --c1: #7aa5ff; --c2: #ff9a52; --c3: #3ccdbd; --c4: #ff86c8; --c5: #d9c13b; --c6: #b79bff; --c7: #5cc8ff;
          --c8: #ff8080; --q0: #333c4a; --q1: #6e9bff; --q2: #34528f; --q3: #a78bfa; --q4: #f08337; --q5: #d8b13f; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI",
       Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 40px 28px 64px; }
header { border-bottom: 1px solid var(--line); padding-bottom: 22px; }
h1 { font-size: clamp(26px, 5vw, 38px); line-height: 1.15; letter-spacing: -.02em; margin: 0;
     overflow-wrap: anywhere; }
h2 { font-size: 21px; letter-spacing: -.01em; margin: 46px 0 4px; }
h3 { font-size: 16px; font-weight: 650; margin: 30px 0 8px; overflow-wrap: anywhere; }
h3 ~ p { margin-bottom: 14px; max-width: 52em; font-size: 15px; }
nav { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 28px; font-size: 14px; }
nav a { color: var(--accent); background: var(--tint); border-radius: 99px; padding: 4px 13px; text-decoration: none; }
nav a:hover { background: var(--line); }
ol { margin: 10px 0 0; padding: 0; list-style: none; counter-reset: step; }
ol li { counter-increment: step; position: relative; padding: 9px 0 9px 40px; border-bottom: 1px solid var(--line);
        max-width: 62em; overflow-wrap: anywhere; }
ol li::before { content: counter(step); position: absolute; left: 0; top: 9px; width: 25px; height: 25px;
                border-radius: 50%; background: var(--accent); color: var(--on-accent); font-size: 14px; font-weight: 650;
                line-height: 25px; text-align: center; }
#next h2 { margin-top: 34px; }
p { margin: 0; color: var(--soft); overflow-wrap: anywhere; }
header p { margin-top: 6px; }
section > p { margin-bottom: 16px; max-width: 52em; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px; margin-top: 24px; }
.tile { background: var(--tint); border-radius: 12px; padding: 14px 18px 12px; }
.tile b { display: block; font-size: 28px; font-weight: 650; line-height: 1.2; letter-spacing: -.02em;
          font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.tile span { display: block; color: var(--soft); font-size: 14px; line-height: 1.35; }
.tile small { display: block; color: var(--soft); font-size: 13px; margin-top: 2px; }
.tile.main { background: var(--accent); color: var(--on-accent); }
.tile.main span, .tile.main small { color: inherit; opacity: .88; }
#overview > p { margin-top: 12px; font-size: 14px; max-width: 62em; }
#overview .sheet { margin-top: 18px; }
#overview figcaption b { margin-right: 8px; color: var(--ink); }
#run .tile b { font-size: 20px; }
dl { display: grid; grid-template-columns: minmax(120px, max-content) 1fr; margin: 22px 0 0; font-size: 15px; }
dt { color: var(--soft); padding-right: 24px; }
dd { margin: 0; overflow-wrap: anywhere; }
dt, dd { padding-top: 7px; padding-bottom: 7px; border-bottom: 1px solid var(--line); }
code { font: 13.5px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
#next code, .causes code, #data code, .tile code { white-space: nowrap; font-size: .92em; }
.settings { columns: 3 300px; column-gap: 36px; margin-top: 12px; font-size: 14px; }
.settings div { display: flex; justify-content: space-between; gap: 16px; padding: 5px 0; break-inside: avoid;
                border-bottom: 1px solid var(--line); }
.settings span { color: var(--soft); }
.settings code { text-align: right; min-width: 0; overflow-wrap: anywhere; }
.charts { display: grid; gap: 16px; margin-top: 16px; }
.large { grid-template-columns: repeat(2, 1fr); }
.small { grid-template-columns: repeat(auto-fill, minmax(205px, 1fr)); }
figure { margin: 0; min-width: 0; }
.chart { border: 1px solid var(--line); border-radius: 12px; padding: 12px 12px 6px; }
.chart figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 14px; padding: 0 4px 6px;
                    font-size: 15px; font-weight: 600; overflow-wrap: anywhere; }
.chart figcaption span { font-weight: 400; color: var(--soft); font-variant-numeric: tabular-nums; }
.chart figcaption span + span { margin-left: 16px; }
.small .chart figcaption { font-size: 13px; gap: 0 6px; }
.chart figcaption .note { flex-basis: 100%; font-size: 13.5px; }
i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 7px; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg svg { overflow: hidden; }
figure.chart text { font-size: 12px; fill: var(--soft); font-variant-numeric: tabular-nums; }
figure.chart text.axis-title { font-size: 12.5px; fill: var(--ink); }
figure.chart text.curve { font-weight: 650; paint-order: stroke; stroke: var(--page); stroke-width: 4px;
                          stroke-linejoin: round; }
.small figure.chart text { font-size: 14px; }
svg.key { display: inline-block; width: 34px; height: 10px; margin-right: 9px; vertical-align: 1px; }
svg .grid { stroke: var(--line); }
svg .axis { stroke: var(--axis); }
.beside { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 6fr); gap: 28px; align-items: start; }
.halves { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 40px; align-items: start; }
.scroll { overflow-x: auto; }
.tall { max-height: 560px; overflow-y: auto; border: 1px solid var(--line); border-radius: 12px; padding: 0 14px; }
.tall thead th { padding-top: 10px; }
details { margin-top: 26px; }
summary { cursor: pointer; font-weight: 650; margin-bottom: 12px; }
summary:hover { color: var(--accent); }
.tall thead th { position: sticky; top: 0; background: var(--page); }
.tall tfoot td { position: sticky; bottom: 0; background: var(--page); border-top: 1px solid var(--axis); }
.charts + .scroll { margin-top: 26px; }
table { width: 100%; border-collapse: collapse; font-size: 15px; font-variant-numeric: tabular-nums; }
th { font-size: 13px; font-weight: 500; color: var(--soft); text-align: right; padding: 0 0 6px 12px;
     border-bottom: 1px solid var(--axis); vertical-align: bottom; }
td { text-align: right; padding: 7px 0 7px 12px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: normal; overflow-wrap: anywhere;
                                 min-width: 96px; }
tfoot td { font-weight: 650; border-bottom: 0; }
.bar { display: inline-block; width: 72px; height: 6px; border-radius: 3px; background: var(--line); margin-left: 10px;
       vertical-align: middle; overflow: hidden; }
#data .bar { width: 150px; }
.bar b { display: block; height: 100%; border-radius: 3px; }
.text { text-align: left; }
.heat { width: auto; }
.heat th { border: 0; padding: 4px 10px; color: var(--ink); font-size: 14px; vertical-align: middle; }
.heat th span { display: inline-block; max-width: 10em; overflow-wrap: break-word; }
.heat thead th { text-align: center; vertical-align: bottom; }
.heat thead th:first-child { color: var(--soft); font-size: 13px; }
.heat th:first-child { position: sticky; left: 0; background: var(--page); text-align: left; padding-left: 0; }
.heat td { border: 2px solid var(--page); border-radius: 6px; padding: 6px 10px; min-width: 66px;
           text-align: center; background: var(--tint); line-height: 1.25; }
.heat small { display: block; font-size: 12px; color: var(--ink); opacity: .75; }
.heat .none { color: var(--soft); }
.heat .hit { background: rgb(var(--hit) / calc(var(--share) * .5)); }
.heat .slip { background: rgb(var(--slip) / calc(.06 + var(--share) * .54)); }
.upright thead th:not(:first-child) span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 11em; }
.upright td { padding: 5px 4px; min-width: 50px; }
.lists { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 4fr) minmax(0, 3fr); gap: 0 44px; }
.stack { padding: 10px 0; }
.stack > div { display: flex; gap: 2px; height: 26px; margin-top: 4px; border-radius: 6px; overflow: hidden; }
.stack > div b { display: block; min-width: 3px; padding: 0 7px; font-size: 13px; line-height: 26px; white-space: nowrap;
                 overflow: hidden; text-overflow: ellipsis; }
.stack > div b:empty { padding: 0; }
.stack p { display: flow-root; font-size: 14px; }
.stack p span { float: right; padding-left: 14px; }
.stack p b { color: var(--ink); }
.q0 { background: var(--q0); } .q1 { background: var(--q1); color: var(--page); } .q2 { background: var(--q2); }
.q3 { background: var(--q3); color: #111827; } .q4 { background: var(--q4); color: #111827; }
.q5 { background: var(--q5); color: #111827; }
.causes { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 16px; margin-top: 14px; }
.causes > div { background: var(--tint); border-radius: 12px; padding: 14px 18px; }
.causes h3 { margin: 0; display: flex; align-items: center; }
.causes h3 span { margin-left: auto; font-variant-numeric: tabular-nums; }
.causes p { font-size: 14px; color: var(--ink); margin: 6px 0 0; }
.causes .where { color: var(--soft); margin-top: 2px; }
.sheet { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 14px; }
.gallery { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 20px; align-items: start; }
.sheet figcaption, .gallery figcaption { font-size: 14px; padding: 5px 2px 0; overflow-wrap: anywhere; }
.sheet figcaption small { display: block; color: var(--soft); font-size: 13px; }
.gallery figcaption { font-weight: 600; }
.gallery ul { font-size: 14px; padding-left: 18px; }
.gallery details { margin-top: 6px; } .gallery summary { font-size: 14px; font-weight: 500; margin-bottom: 4px; }
.zoom { display: block; }
.zoom input { position: absolute; opacity: 0; pointer-events: none; }
.picture { display: block; position: relative; aspect-ratio: 4 / 3; background: var(--tint); border-radius: 8px;
           overflow: hidden; cursor: zoom-in; }
.picture img, .picture svg { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; }
.zoom input:focus-visible + .picture { outline: 3px solid var(--accent); outline-offset: 2px; }
.zoom input:checked + .picture { position: fixed; inset: 0; z-index: 9; aspect-ratio: auto; border-radius: 0;
                                 background: rgb(8 11 16 / .93); cursor: zoom-out; outline: 0; }
body:has(.zoom input:checked) { overflow: hidden; }
.picture rect { fill: transparent; stroke-width: 2px; vector-effect: non-scaling-stroke; }
.picture .edge { stroke: #000; stroke-opacity: .6; stroke-width: 4px; }
.picture text { font-size: calc(var(--f) * 1px); font-weight: 650; fill: #fff; paint-order: stroke; stroke: #0b0f16;
                stroke-opacity: .8; stroke-width: .24em; stroke-linejoin: round; }
.zoom input:checked + .picture text { font-size: calc(var(--f) * .45px); }
.zoom input:not(:checked) + .picture .more { display: none; }
.picture .right rect { stroke: #3ddc84; } .picture text.right { fill: #6ff0a8; }
.picture .wrong rect { stroke: #ff7a33; stroke-width: 3px; } .picture text.wrong { fill: #ffb184; }
.picture .missed rect { stroke: #fff; stroke-dasharray: 7 5; }
.picture .truth rect { stroke: #4db5ff; } .picture text.truth { fill: #a5dbff; }
.picture .ignored rect { stroke: #c6ccd6; stroke-dasharray: 3 4; }
.picture g .edge { stroke: #000; stroke-width: 5px; stroke-dasharray: none; }
p.key { display: flex; flex-wrap: wrap; gap: 4px 24px; margin: 10px 0 14px; font-size: 14px; max-width: none; }
p.key i { width: 26px; height: 16px; vertical-align: -3px; margin-right: 9px; background: #6b7686; border: 2px solid; }
p.key .missed { border: 2px dashed #fff; outline: 1px solid var(--axis); }
p.key .wrong { border: 3px solid #ff7a33; }
p.key .right { border-color: #3ddc84; }
ul { margin: 0; padding-left: 20px; font-size: 15px; overflow-wrap: anywhere; }
footer { margin-top: 52px; padding-top: 16px; border-top: 1px solid var(--line); font-size: 14px; }
@media screen and (max-width: 760px) {
  main { padding: 24px 16px 48px; }
  .large, .beside, .halves, .lists, .gallery { grid-template-columns: minmax(0, 1fr); }
  .tiles, .small, .sheet { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 10px; }
  .tile.main:first-child:nth-last-child(odd) { grid-column: 1 / -1; }
  .causes { grid-template-columns: minmax(0, 1fr); }
  .tile { padding: 12px 14px 10px; }
  .tile b { font-size: 23px; }
  dl { display: block; }
  dt { border: 0; padding: 8px 0 0; font-size: 14px; }
  dd { padding: 0 0 8px; }
  .large figure.chart text, .beside figure.chart text { font-size: 16px; }
  .small .chart { padding: 10px 8px 4px; }
  .small figure.chart text { font-size: 15px; }
  .bar, #data .bar { display: none; }
  .stack > div b { padding: 0 4px; white-space: normal; }
  .stack > div b::before { content: ""; display: inline-block; } /* a count without room wraps as a whole */
  svg.key { width: 24px; margin-right: 6px; }
  .halves, .lists { gap: 20px; }
  table { font-size: 14px; }
  th, td { padding-left: 8px; }
  th { font-size: 12px; }
}
@media print {
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { padding: 0; zoom: .66; }
  nav { display: none; }
  .tall { max-height: none; }
  .tall th, .tall td { position: static !important; }
  details::details-content { content-visibility: visible; height: auto; }
  h2, h3, section > p { break-after: avoid; }
  .chart, tr, figure, .stack, .causes > div { break-inside: avoid; }
}
)css";

}  // namespace rcnn
