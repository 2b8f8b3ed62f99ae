/* What an ear does in every step, in every block, and at every look; listen/kernel.py says why this is C, and `Reach`,
   `Window` and `look` say it readably. */

#include <math.h>
#include <stdint.h>
#include <string.h>
enum { WIDE = ROWS * RUN, EXTRA = 4 }; /* other constants come from listen/kernel.py */

typedef struct { int64_t tensor, start, stride, runs, run, row; } Item;

/* The runs of tensors, at their rows of `to`; zeros of a tensor that is not there. */
void pick(const float *const *from, const Item *item, int64_t n, float *to) {
  for (; n--; item++) {
    const float *x = from[item->tensor];
    float *y = to + item->row * RUN;
    if (x) x += item->start;
    if (!x) memset(y, 0, sizeof(float) * item->runs * item->run);
    else if (item->run < RUN) memcpy(y, x, sizeof(float) * item->run);
    else for (int64_t r = 0; r < item->runs; r++) memcpy(y + r * RUN, x + r * item->stride, sizeof(float) * RUN);
  }
}

static inline float sign(float x) { return (x > 0) - (x < 0); }

static inline float dot(const float *x, const float *y) {
  float s = 0;
  #pragma omp simd reduction(+ : s)
  for (int c = 0; c < RUN; c++) s += x[c] * y[c];
  return s;
}

typedef struct {
  float *ring, *sound, *v, *weight, *extra, *runs, *sums, *counts, *recent, *taps, *tried, *seen, *tile, *value;
  int64_t *owner;
  int64_t tensors, rows, length, at, lags, betas, columns, missed;
  float parts[EXTRA], decay, tiny;
} Block;

/* The rows that count: those of after a gap, all of whose numbers are finite. The others become zeros. */
static void check(const Block *b) {
  for (int i = 0; i < BLOCK; i++) {
    float *row = b->ring + (b->at + i) * b->rows * RUN, s = 0;
    #pragma omp simd reduction(+ : s)
    for (int64_t c = 0; c < b->rows * RUN; c++) s += 0 * row[c];
    b->sound[b->at + i] = s == 0 && i < BLOCK - b->missed;
    if (!b->sound[b->at + i]) memset(row, 0, sizeof(float) * RUN * b->rows);
  }
}

/* The window's rows [length, WIDE], the newest first, of some runs; the rest of a tile is zeros. */
static void fetch(const Block *b, int64_t row, int64_t rows) {
  for (int64_t k = 0; k < b->length; k++) {
    int64_t slot = (b->at + k) % b->length;
    float *to = b->tile + k * WIDE;
    const float *from = b->ring + (slot * b->rows + row) * RUN;
    if (rows == ROWS) memcpy(to, from, sizeof(float) * WIDE);
    else memset(to, 0, sizeof(float) * WIDE), memcpy(to, from, sizeof(float) * RUN * rows);
  }
}

/* v <- decay v + (1 - decay) g^2 over the sound steps of the block, and 1 / sqrt(v) without its bias. */
static void weigh(const Block *b, float *v, float *cost, float keep, const float *share, float bias) {
  for (int c = 0; c < WIDE; c++) v[c] *= keep;
  for (int i = 0; i < BLOCK; i++)
    for (int c = 0; c < WIDE; c++) v[c] += share[i] * b->tile[i * WIDE + c] * b->tile[i * WIDE + c];
  for (int c = 0; c < WIDE; c++) cost[c] = v[c] > 0 ? 1 / (sqrtf(v[c] / bias) + b->tiny) : 0;
}

/* sum over the block of <g_n, D g_{n-j}> with D = 1 and D = cost. */
static void products(const Block *b, const float *cost) {
  static const float ones[RUN] = {1, 1, 1, 1, 1, 1, 1, 1};
  for (int64_t j = 0; j < b->lags; j++) {
    float s[WIDE] = {0};
    for (int i = 0; i < BLOCK; i++)
      for (int c = 0; c < WIDE; c++) s[c] += b->tile[i * WIDE + c] * b->tile[(i + j) * WIDE + c];
    for (int r = 0; r < ROWS; r++) {
      b->value[r * b->columns + j] = dot(s + r * RUN, ones);
      b->value[r * b->columns + b->lags + j] = dot(s + r * RUN, cost + r * RUN);
    }
  }
}

/* What sign directions of all momenta earn at the newest step, and elementwise families at the last of the momenta. */
static void scores(const Block *b, const float *cost) {
  const float *g = b->tile;
  float m[WIDE], with[WIDE], held[WIDE], family[4][WIDE];
  static const int pairs[POWERS][2] = {PAIRS};
  for (int64_t k = 0; k <= b->betas; k++) {
    memset(m, 0, sizeof m);
    for (int64_t age = 0; age < b->length; age++)
      for (int c = 0; c < WIDE; c++) m[c] += b->taps[k * b->length + age] * b->tile[age * WIDE + c];
    for (int c = 0; c < WIDE; c++) with[c] = sign(m[c] * b->tried[k] + g[c]), held[c] = sign(m[c]);
    for (int r = 0; r < ROWS && k < b->betas; r++) {
      float *to = b->value + r * b->columns + 2 * b->lags + k;
      to[0] = dot(with + r * RUN, g + r * RUN), to[b->betas] = dot(held + r * RUN, g + r * RUN);
    }
  }
  for (int c = 0; c < WIDE; c++) family[0][c] = g[c], family[1][c] = m[c], family[2][c] = held[c], family[3][c] = m[c] * cost[c];
  for (int r = 0; r < ROWS; r++)
    for (int k = 0; k < POWERS; k++)
      b->value[r * b->columns + 2 * (b->lags + b->betas) + k] = dot(family[pairs[k][0]] + r * RUN, family[pairs[k][1]] + r * RUN);
}

/* Each run's values, times how many coordinates one stands for, enter the sums. */
static void enter(const Block *b, int64_t row, float *value) {
  float w = b->weight[row];
  int64_t of = b->owner[row];
  memcpy(value + b->columns - EXTRA, b->extra + row * EXTRA, sizeof(float) * EXTRA);
  for (int64_t c = 0; c < b->columns; c++) {
    value[c] *= w;
    b->runs[row * b->columns + c] += value[c];
    b->sums[of * b->columns + c] += value[c];
  }
  b->recent[2 * of] += value[0], b->recent[2 * of + 1] += value[1];
}

static void count(const Block *b) {
  const float *sound = b->sound;
  for (int64_t j = 0; j < b->lags; j++)
    for (int i = 0; i < BLOCK; i++) {
      float pair = sound[b->at + i] * sound[(b->at + i + j) % b->length];
      b->counts[j] += pair, b->counts[b->lags + j] += pair;
    }
  for (int64_t c = 2 * b->lags; c < b->columns - EXTRA; c++) b->counts[c] += sound[b->at];
  for (int c = 0; c < EXTRA; c++) b->counts[b->columns - EXTRA + c] += b->parts[c];
}

/* All of it: BLOCK steps enter the sums. */
void block(const Block *b) {
  float v[WIDE], cost[WIDE], share[BLOCK], keep = 1;
  check(b);
  memset(b->recent, 0, sizeof(float) * 2 * b->tensors);
  for (int i = 0; i < BLOCK; i++) {
    share[i] = (1 - b->decay) * keep * b->sound[b->at + i];
    keep *= b->sound[b->at + i] ? b->decay : 1;
    *b->seen += b->sound[b->at + i];
  }
  float bias = fmaxf(1 - powf(b->decay, *b->seen), b->tiny);
  for (int64_t row = 0; row < b->rows; row += ROWS) {
    int64_t rows = b->rows - row < ROWS ? b->rows - row : ROWS;
    fetch(b, row, rows);
    memset(v, 0, sizeof v), memcpy(v, b->v + row * RUN, sizeof(float) * RUN * rows);
    weigh(b, v, cost, keep, share, bias);
    memcpy(b->v + row * RUN, v, sizeof(float) * RUN * rows);
    products(b, cost);
    scores(b, cost);
    for (int64_t r = 0; r < rows; r++) enter(b, row + r, b->value + r * b->columns);
  }
  count(b);
}

/* y / |y|, and |y|. */
static double unit(float *y, int64_t n, double tiny) {
  double square = 0;
  for (int64_t i = 0; i < n; i++) square += (double)y[i] * y[i];
  float scale = 1 / fmax(sqrt(square), tiny);
  for (int64_t i = 0; i < n; i++) y[i] *= scale;
  return sqrt(square);
}

/* Of x [m, n], whose rows lie `apart`: |row|^2, |column|^2, and how x acts on a Krylov space, [KRYLOV, KRYLOV] zeros
   at first. u [m] and v [n] are room. */
void passes(const float *x, int64_t m, int64_t n, int64_t apart, float *rows, float *columns, float *found, float *u,
            float *v, float tiny, float rounding) {
  int64_t most = 0;
  memset(columns, 0, sizeof(float) * n);
  for (int64_t i = 0; i < m; i++) {
    const float *row = x + i * apart;
    float s = 0;
    #pragma omp simd reduction(+ : s)
    for (int64_t j = 0; j < n; j++) s += row[j] * row[j], columns[j] += row[j] * row[j];
    rows[i] = s, most = s > rows[most] ? i : most;
  }
  memcpy(v, x + most * apart, sizeof(float) * n);
  memset(u, 0, sizeof(float) * m);
  for (int k = 0; k < KRYLOV; k++) {
    float b = unit(v, n, tiny);
    if (!k) b = 0;
    else if (b <= rounding * found[0]) memset(v, 0, sizeof(float) * n);
    for (int64_t i = 0; i < m; i++) {
      const float *row = x + i * apart;
      float s = 0;
      #pragma omp simd reduction(+ : s)
      for (int64_t j = 0; j < n; j++) s += row[j] * v[j];
      u[i] = s - b * u[i];
    }
    float a = unit(u, m, tiny);
    found[k * KRYLOV + k] = a;
    if (k) found[(k - 1) * KRYLOV + k] = b;
    if (k == KRYLOV - 1) return;
    for (int64_t j = 0; j < n; j++) v[j] *= -a;
    for (int64_t i = 0; i < m; i++)
      for (int64_t j = 0; j < n; j++) v[j] += u[i] * x[i * apart + j];
  }
}
