#include "trainer/training_loader.h"

namespace bit::trainer {

std::unique_ptr<pipeline::Loader> training_loader(const TrainSettings& settings,
                                                  const storage::Dataset& dataset,
                                                  const pipeline::Order& order, std::uint64_t first,
                                                  const cluster::Communicator& communicator) {
  pipeline::LoaderOptions options;
  options.image_size = settings.image_size;
  options.rank = communicator.rank();
  options.ranks = communicator.size();
  options.decoder_threads = settings.decoder_threads;
  options.reader_threads = settings.reader_threads;
  options.prefetch = settings.prefetch;
  options.first_batch = first;
  options.last_batch = settings.schedule.total_steps;
  options.memory_limit = settings.memory_limit;
  options.cache = settings.cache;
  options.cache_limit = settings.cache_limit;
  options.cache_short_side = settings.cache_short_side;
  return std::make_unique<pipeline::Loader>(
      dataset, order, pipeline::training_plan(settings.seed, settings.image_size, settings.crop),
      options);
}

}  // namespace bit::trainer
