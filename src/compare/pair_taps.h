// Two runs compared tensor by tensor while they run: each side hands over its taps as it computes
// them, in whatever order, and every tap is compared with its partner of the other side as soon as
// both are there and then dropped. Rows are paired by position, so a run that evaluates the prompt
// at once pairs with one that evaluates it in pieces.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "compare/tap_names.h"
#include "engine/side.h"
#include "engine/tap.h"
#include "engine/tap_rows.h"

namespace crossval {

struct TapPairingOptions {
  // Both sides run at the same time, each in its own thread, and cut the prompt alike: the one that
  // is more than a layer ahead waits, and what stays alone is dropped when both are past its layer.
  // False: nobody waits, a side's taps are kept until their partners come (runs one after the
  // other, `--self` with another batch size, saved traces).
  bool lockstep = true;
  // What the taps of one side that wait for a partner may take. Beyond it that side waits, or,
  // where waiting cannot help, its taps are dropped and counted.
  int64_t max_pending_bytes = int64_t{256} << 20;
};

// One tensor of both runs, over all positions compared. Distances are those of distance.h.
struct TapPair {
  std::string name;                  // the backend's
  std::string engine_name;           // the engine's, which may be another alias
  std::string op;                    // the backend's
  int occurrence = 0;                // the backend's Tap::occurrence
  std::vector<int> backend_indices;  // the backend's taps that are part of it
  int layer = -1;
  int n_positions = 0;      // rows compared
  int64_t n_elements = 0;   // values compared
  int64_t n_different = 0;  // values that are not equal; NaN equals NaN here
  int64_t n_non_finite_engine = 0, n_non_finite_backend = 0;
  // ||engine - backend|| / ||backend||: infinite where the backend is all zero and the engine is
  // not; NaN with a value that is not finite.
  double rel_l2 = 0;
  double max_abs = 0;           // of finite differences
  int worst_position = -1;      // the row with the largest rel_l2, non-finite first; -1 = all equal
  double worst_row_rel_l2 = 0;  // its own
  // The two tensors cannot be compared elementwise (a row has another length): data, not an error.
  bool same_shape = true;
  std::array<int64_t, 4> engine_ne = {}, backend_ne = {};  // of the first, or of what mismatched
};

// A tap (or rows of one) without partner.
struct UnpairedTap {
  Side side;
  std::string name, op;
  int occurrence = 0;
  int layer = -1;
  enum class Reason {
    no_partner,
    no_room,    // dropped to keep within max_pending_bytes
    no_values,  // not asked for, or of a type that has no floats
  } reason;
};

struct PairedTaps {
  std::vector<TapPair> pairs;         // in the backend's order
  std::vector<UnpairedTap> unpaired;  // engine's and backend's, each once per tensor
  int64_t peak_pending_bytes = 0;
};

// Thrown out of add() after abort(), so that the other side's eval ends as well.
struct TapPairingAborted : std::runtime_error {
  TapPairingAborted() : std::runtime_error("the other side's run failed") {}
};

class TapPairing {
 public:
  explicit TapPairing(TapPairingOptions options = {}) : options_(options) {}

  // `n_tokens`: ids of the graph that gave the tap; `index`: its number in its side's run. Views,
  // caches and nodes without a name of their own are ignored (is_pairable). May wait, see lockstep.
  // Each side from one thread.
  void add(Side side, const Tap& tap, int n_tokens, int index = -1);
  // Before both evals begin: from here on the other side waits for this one's taps, however late
  // the first comes. Without it nobody waits for a side before its first tap.
  void begin(Side side);
  // This side's eval has ended: nobody waits for it until its next tap. Call it on every path.
  void done(Side side);
  // One side failed: wakes the other, whose add() throws TapPairingAborted from now on.
  void abort();
  // After both sides: what was found. The rest is without partner.
  PairedTaps finish();

 private:
  // Rows of one side, on their way to a partner.
  struct Pending {
    TapKey key;
    std::string name, op;
    int occurrence = 0;  // Tap::occurrence
    int index = -1;
    TapRows rows;
  };
  struct RowDistance {
    int position;
    double dd, bb, max_abs;  // as DistanceSums
    int64_t n_different, n_non_finite_engine, n_non_finite_backend;
  };
  struct Result {
    TapPair pair;                   // names and shapes; the numbers come at finish()
    std::vector<RowDistance> rows;  // in the order of their comparison
  };
  // How far one side is, and its taps that wait for a partner.
  struct Flow {
    bool idle = true;                     // between evals, or not begun
    int64_t waits_for_bytes = 0;          // room that its add() waits for; 0 = it does not
    int first_position = -1, layer = -1;  // how far its eval is
    std::map<TapKey, int> n_seen;         // in this eval; keys of occurrence 0
    std::map<TapKey, int64_t> order;      // of its tensors by first arrival
    std::map<TapKey, std::list<Pending>> pending;
    int64_t pending_bytes = 0;
    std::map<TapKey, UnpairedTap> unpaired;
  };
  using Lock = std::unique_lock<std::mutex>;

  static RowDistance row_distance(int position, std::span<const float> engine,
                                  std::span<const float> backend);
  static void fold_rows(Result& result);
  Flow& flow_of(Side side) { return flows_[side == Side::engine ? 0 : 1]; }
  TapKey arrive(Flow& own, const Tap& tap);
  bool is_ahead(const Flow& own, const Flow& other, int n_layers) const;
  bool lacks_room(const Flow& own, const Flow& other, int64_t more_bytes) const;
  bool must_wait(const Flow& own, const Flow& other, int64_t more_bytes) const;
  void wait_for_other(Lock& lock, Flow& own, const Flow& other, int64_t more_bytes);
  void drop_passed();
  void drop(Flow& flow, const Pending& pending, UnpairedTap::Reason reason);
  std::list<Pending> take_partners(Flow& other, const Pending& own);
  void keep(Flow& flow, Pending&& pending);
  void compare(const Pending& engine, const Pending& backend, Lock& lock);

  TapPairingOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool aborted_ = false;
  std::array<Flow, 2> flows_;
  std::map<TapKey, Result> results_;
  int64_t peak_pending_bytes_ = 0;
};

}  // namespace crossval
