// The only loop of the program: engines evaluate the same ids, step by step, and observers see what
// they computed. Only a few rows of each side are ever held.
//
// One step is an eval of some ids: begin(), the sides' tensors as they come, end() of each side,
// then the rows of all sides, position by position in blocks. The order of observers is the order
// of the list.
#pragma once

#include <array>
#include <functional>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "engine/placed_tap.h"
#include "engine/side.h"
#include "run/progress.h"

namespace crossval {

enum class Look { no, tensors };

struct Participant {
  Side side;
  Engine& engine;        // was reset for all ids that will be evaluated
  Look look = Look::no;  // tensors: its taps are shown to the observers
};

struct Steps {
  std::vector<TokenId> prompt;
  // Ids of the prompt in one eval; 0 = all. What is decoded is always an eval each.
  int n_at_a_time = 0;
  int n_decode = 0;                 // ids chosen greedily after the prompt
  Side chooser = Side::backend;     // from whose rows
  std::vector<TokenId> decode_ids;  // n_decode ids to take instead; empty = chosen
  int first_row = 0;                // rows of positions before it are not read
  // Engine and backend evaluate at the same time, as they do whenever their tensors are shown: a
  // side that is ahead waits for the other.
  bool at_once = false;
  TapFilter filter;
  // Of evals that could show tensors, those that do; empty = all.
  std::function<bool(int first_position, int n_ids)> shows_tensors;
};

// Some positions of one eval, with the row of each side that takes part.
struct RowBlock {
  int first_position = 0;
  std::span<const TokenId> ids;
  int n_vocab = 0;
  std::array<std::span<const float>, kNSides> rows;  // [ids.size(), n_vocab]; empty = not there
  // Of a side that gives its likeliest tokens alone, instead.
  std::array<std::span<const TopRow>, kNSides> tops = {};

  std::span<const float> row(Side side, int i) const;
  // Null where the side gives whole rows, or is not there.
  const TopRow* top(Side side, int i) const;
  int n_rows() const { return static_cast<int>(ids.size()); }
};

// What an observer throws ends the run and comes out of drive().
class Observer {
 public:
  virtual ~Observer() = default;

  // Before an eval of these ids, the first of which has this position.
  virtual void begin(std::span<const TokenId> /*ids*/, int /*first_position*/) {}
  // In graph order, on the side's own thread: sides may come at the same time.
  virtual void tap(Side /*side*/, const PlacedTap& /*tap*/) {}
  // This side's eval is over. On the side's own thread.
  virtual void end(Side /*side*/) {}
  virtual void rows(const RowBlock& /*block*/) {}
  // A side failed: whoever waits for it in tap() must come back, by throwing. From any thread.
  virtual void abort() {}
};

// The largest logit's id, the first of equal ones; NaN never wins; 0 when all are NaN.
TokenId greedy_choice(std::span<const float> logits);

// Returns the ids evaluated in all: the prompt and the decoded ones. An end-of-text token does not
// stop the decoding: the positions after it are as comparable as those before. The first error, of
// a side or an observer, ends the run and is thrown.
std::vector<TokenId> drive(std::span<const Participant> participants, const Steps& steps,
                           std::span<Observer* const> observers, Progress& progress);

}  // namespace crossval
